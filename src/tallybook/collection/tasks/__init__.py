"""The daily run and its parts.

run.py walks the steps of each date that dates.py lists: reports.py takes reports in, settling.py
settles with them, matching.py answers unknowns, due.py lists what is to be sent, capping.py keeps
within the caps, sending.py calls the Processor. switch.py tells whether it may. paying.py pays out,
resolving.py does what a person rules, requests.py answers for work that is long. stopping.py sees
work through, or ends it early, where the program stops. insisting.py writes what must not be lost,
context.py is what all of them need of the program, reading.py how they read.
"""
