"""Read-only views over all businesses: what is downloaded, opened in a spreadsheet, reconciled."""
