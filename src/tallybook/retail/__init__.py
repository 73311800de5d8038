"""Retail: the counter: products, sales, tender and the cash drawer."""
