"""Longer work with loans: files taken over, payments through a gateway."""
