"""The writes of household bills: record messages and movements, link, resolve, fold.

taking.py reads what comes in, before the door, and inbox.py the lines of an inbox. recording.py
records messages, people.py what people add: movements, links, corrected readings. folding.py is the
part that all of them share.
"""
