"""The writes of advances.

begin.py makes one, opening.py opens its plan, booking.py books what becomes of its transfers,
rulings.py does what a person asks, business.py is how collection reaches them.
"""

from __future__ import annotations

from tallybook.advances.operations.business import ADVANCE_BUSINESS
from tallybook.collection.operations.business import BUSINESSES
from tallybook.processor.model import TransferKind

BUSINESSES.register(TransferKind.ADVANCE, ADVANCE_BUSINESS)
