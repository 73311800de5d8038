"""What the counter shows: answers.py to programs, in shapes.py's shapes; receipts.py to people."""
