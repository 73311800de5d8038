"""The long work of loans: importing.py takes loans and payments over from files."""
