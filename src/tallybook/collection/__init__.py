"""What businesses that collect by debits share: plans and their rows, claims, the debit run."""
