"""The command line, one file per group: each command is its options, its help and one call."""
