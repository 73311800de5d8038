"""The counter's writes.

products.py keeps the catalogue, purchases.py sells, refunds.py takes back, drawer.py counts cash,
imports.py brings in what was sold elsewhere, invoices.py remembers what was mailed. till.py is the
drawer as all of them see it.
"""
