"""The counter's reads: reads.py for people and programs, checks.py to prove the book."""
