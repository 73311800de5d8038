"""The writes of household bills: record messages and movements, link, resolve, fold.

taking.py reads what comes in, before the door; folding.py is the part that all of them share.
"""
