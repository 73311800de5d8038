"""Customers and their bank accounts."""
