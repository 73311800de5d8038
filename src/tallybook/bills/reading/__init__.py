"""Reading a bill out of a message: rules kept as data, applied in linear time.

Read model.py for the words, rulebook.py for how rules are loaded and checked, reader.py for how a
text is read, and rules/*.toml for the rules themselves.
"""
