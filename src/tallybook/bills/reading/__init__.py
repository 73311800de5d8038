"""Reading a bill out of a message: rules kept as data, applied in linear time.

reader.py reads a text: text.py makes it plain, rulebook.py loads and checks the rules of
rules/*.toml and patterns.py what they are written in, lexicon.py knows issuers. fields.py takes the
fields out, from what mentions.py finds and formats.py understands; margins.py sees what touches an
amount. model.py holds the words.
"""
