"""Loans: schedules, payments and interest on money lent."""
