"""The demonstration: years of real advances, paid out and collected through an unreliable rail.

bank.py is the simulated Processor in a process of its own, course.py lets the days pass,
operator.py plays the person who decides, outcome.py compares the book with the bank's own log,
pages.py shows it.
"""
