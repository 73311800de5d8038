"""The counter's long work: catalogue.py and past_sales.py bring files in.

sale_lines.py reads past sales into whole invoices; cancellations.py takes back what was sold in
them; invoices.py mails what mails.py writes and sends.
"""
