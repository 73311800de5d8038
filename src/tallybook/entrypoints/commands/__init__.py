"""The commands of `tallybook`, one file per topic; each imports what it needs when it runs."""
