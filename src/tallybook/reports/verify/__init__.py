"""`tallybook verify`: the whole book recomputed from raw rows, and every discrepancy named.

entries.py checks entries, balances and the hash chains; plans.py plans, rows and transfers;
positions.py what the ledger must hold for each advance, payout and customer; loans.py and
counter.py those businesses; order.py runs, replies and items; evidence.py what transfers rest on:
events, plan rows, reports; seals.py the rows of every table; anchors.py what was written elsewhere.
Each check is a function from a connection to discrepancies (discrepancy.py); running.py has CHECKS,
the list of them.
"""

from __future__ import annotations

from tallybook.reports.verify.discrepancy import Discrepancy, format_discrepancies, how_many
from tallybook.reports.verify.running import CHECKS, verify

__all__ = ["CHECKS", "Discrepancy", "format_discrepancies", "how_many", "verify"]
