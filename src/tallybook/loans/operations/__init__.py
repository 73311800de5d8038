"""The writes of loans.

creating.py makes one, paying.py takes payments, reversing.py takes them back. Each puts a Draft
together: the loan is folded anew from its payments, and everything else follows from that.
"""
