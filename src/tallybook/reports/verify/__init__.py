"""`tallybook verify`: the whole book recomputed from raw rows, and every discrepancy named.

book.py checks entries, balances and the hash chains; plans.py plans, rows and transfers; books.py
what the ledger must hold for each advance, payout and customer; order.py runs, replies and items;
evidence.py what transfers rest on: events, plan rows, reports.
Each check is a function from a connection to discrepancies; CHECKS is the list of them.
"""

from __future__ import annotations

from tallybook.reports.verify.running import CHECKS, verify
from tallybook.reports.verify.words import Discrepancy, format_discrepancies

__all__ = ["CHECKS", "Discrepancy", "format_discrepancies", "verify"]
