"""What messages, transactions and people's links come to: pure, and the same in any order.

placing.py finds the account. billing.py folds one account in two passes over drafts.py:
statements.py finds the bill of each statement, paying.py what each payment pays. matching.py pairs
payments with bank movements, states.py tells where a bill stands, booking.py what the ledger must
hold. outcomes.py tells what each message came to, telling.py which payments were made,
currencies.py in which currency an amount is. folding.py puts them together, and rows.py gives each
its row.
"""
