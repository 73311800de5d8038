"""What a loan is, decided by pure functions of its terms, its payments and a date.

schedule.py lays out rows, terms.py says what a loan and a payment may be, paying.py folds payments
and tells how a loan stands, books.py says what the ledger must hold.
"""
