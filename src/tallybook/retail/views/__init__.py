"""What the counter shows: answers.py to programs, receipts.py to people."""
