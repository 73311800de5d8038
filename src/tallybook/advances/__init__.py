"""Advances: paid out at once, collected by weekly debits. Source: A."""
