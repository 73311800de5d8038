"""The counter's long work: catalogue.py and past_sales.py bring files in, invoices.py mails."""
