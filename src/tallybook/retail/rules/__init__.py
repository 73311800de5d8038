"""What the counter decides, pure.

catalogue.py says what a product may be, totals.py what a basket costs, change.py which pieces go
back, refunds.py what a refund gives, drawer.py what a count means.
"""
