"""What the counter decides, pure.

catalogue.py says what a product may be, basket.py what is bought at which price, totals.py what it
costs, change.py which pieces go back, refunds.py what a refund gives, drawer.py what a count means.
documents.py chains purchases and refunds.
"""
