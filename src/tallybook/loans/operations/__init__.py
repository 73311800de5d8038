"""The writes of loans.

creating.py makes one, paying.py takes payments, pending.py those that a gateway decides,
reversing.py takes payments back, crediting.py uses credit, ruling.py gives a loan up, debiting.py
keeps its debits in step, business.py is how collection reaches loans, telling.py what
the daily run publishes of them. Each puts a Draft (draft.py) together: the loan is folded anew from
its payments, and everything else follows from that.
"""

from __future__ import annotations

from tallybook.collection.operations.business import BUSINESSES
from tallybook.loans.operations.business import LOAN_BUSINESS
from tallybook.loans.operations.telling import stream_newly_delinquent
from tallybook.processor.model import TransferKind

BUSINESSES.register(TransferKind.LOAN, LOAN_BUSINESS, daily=stream_newly_delinquent)
