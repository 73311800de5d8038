"""The counter's reads.

reads.py is for people and programs, checks.py proves the book, imported.py tells an import what
earlier ones have brought in.
"""
