"""The writes that every collecting business shares.

business.py: what a business answers; transfers.py: what news does to a transfer; settling.py: what
reports do to it; moving.py: what every move of one shares; matching.py: unknowns that reports
answer; adopting.py: debits that a restored book does not know; sending.py: rows that go out;
switching.py: whether anything does; credits.py: credit paid out; applying.py: credit used;
items.py: what a person rules; runs.py: the daily run's own row; reports.py: reports taken in;
requests.py: whose reply comes when long work is done.
"""
