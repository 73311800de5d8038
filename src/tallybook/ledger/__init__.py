"""The double-entry ledger: the only code that writes entries, postings and balances."""
