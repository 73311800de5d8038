"""What must be true of the book after every step, as plain SQL that both databases read.

Numbers in brackets are those of the invariants in docs/reliability.md.
"""

from __future__ import annotations

from tests.sim.book import Book

LIVE = "('intent', 'accepted', 'unknown', 'timed_out', 'succeeded')"
IN_FLIGHT = "('intent', 'accepted', 'unknown')"

INVARIANTS: dict[str, str] = {
    "entries balance (I1)": """
        SELECT e.seq FROM entries e JOIN postings p ON p.entry_seq = e.seq
        JOIN accounts a ON a.id = p.account_id GROUP BY e.seq, a.currency
        HAVING sum(p.amount_minor) <> 0""",
    "entries are whole (I1)": """
        SELECT e.seq FROM entries e LEFT JOIN postings p ON p.entry_seq = e.seq
        GROUP BY e.seq, e.postings_count HAVING count(p.line) <> e.postings_count""",
    "balances are their postings (I3)": """
        SELECT a.id FROM accounts a
        LEFT JOIN (SELECT account_id, sum(debit_minor - credit_minor) AS held FROM balances
                   GROUP BY account_id) b ON b.account_id = a.id
        LEFT JOIN (SELECT account_id, sum(amount_minor) AS posted FROM postings
                   GROUP BY account_id) p ON p.account_id = a.id
        WHERE coalesce(b.held, 0) <> coalesce(p.posted, 0)""",
    "one live transfer a row (I7)": f"""
        SELECT installment_id FROM transfers WHERE installment_id IS NOT NULL
        AND state IN {LIVE} GROUP BY installment_id HAVING count(*) > 1""",
    "no debit before its credit (I10)": """
        SELECT t.id FROM transfers t JOIN advances a ON a.id = t.subject_id
        JOIN transfers c ON c.id = a.credit_transfer_id
        WHERE t.direction = 'debit' AND t.intent_at < coalesce(c.resolved_at, c.intent_at)
        AND c.state IN ('intent', 'accepted', 'unknown', 'rejected', 'timed_out')""",
    "plans add up (I5)": f"""
        SELECT p.subject_id FROM plans p WHERE
        p.claimed_minor <> p.succeeded_minor + p.in_flight_minor + p.held_minor
        OR p.succeeded_minor <> (SELECT coalesce(sum(t.amount_minor), 0) FROM transfers t
            WHERE t.subject_id = p.subject_id AND t.direction = 'debit' AND t.state = 'succeeded')
        OR p.in_flight_minor <> (SELECT coalesce(sum(t.amount_minor), 0) FROM transfers t
            WHERE t.subject_id = p.subject_id AND t.direction = 'debit' AND t.state IN {IN_FLIGHT})
        OR p.held_minor <> (SELECT coalesce(sum(t.amount_minor), 0) FROM transfers t
            WHERE t.subject_id = p.subject_id AND t.direction = 'debit' AND t.held)
        OR p.unsent_minor <> (SELECT coalesce(sum(i.amount_minor), 0) FROM installments i
            WHERE i.subject_id = p.subject_id AND i.state = 'planned')""",
    "the plan equation (I5)": """
        SELECT subject_id FROM plans WHERE status = 'active' AND unsent_minor <>
        CASE WHEN total_minor > succeeded_minor + in_flight_minor + held_minor
        THEN total_minor - succeeded_minor - in_flight_minor - held_minor ELSE 0 END""",
    "never more claimed than owed (I5)": """
        SELECT subject_id FROM plans WHERE claimed_minor > total_minor + excess_minor""",
    "one debit a run and account (A11)": """
        SELECT t.bank_account_id FROM transfers t JOIN plans p ON p.subject_id = t.subject_id
        WHERE t.direction = 'debit' AND t.state <> 'rejected'
        GROUP BY t.bank_account_id, t.sent_on
        HAVING count(*) > max(CASE p.on_failed_debit WHEN 'next_due_date' THEN 2 ELSE 1 END)""",
    "stock is what came less what went (I15)": """
        SELECT p.id FROM products p WHERE p.stock <>
        (SELECT coalesce(sum(m.change), 0) FROM stock_movements m WHERE m.product_id = p.id)
        - (SELECT coalesce(sum(i.quantity), 0) FROM purchase_items i JOIN purchases u
           ON u.number = i.purchase_number WHERE i.product_id = p.id AND NOT u.is_imported)
        + (SELECT coalesce(sum(r.quantity), 0) FROM refund_items r JOIN refunds d
           ON d.number = r.refund_number WHERE r.product_id = p.id AND d.restock)
        OR p.stock < -p.oversell_limit""",
    "the drawer holds its money (I17)": """
        SELECT d.number FROM drawers d WHERE d.uncounted_minor +
        (SELECT coalesce(sum(n.value_minor * n.count), 0) FROM denominations n) <>
        (SELECT coalesce(sum(b.debit_minor - b.credit_minor), 0) FROM balances b
         JOIN accounts a ON a.id = b.account_id WHERE a.name = 'cash:drawer')""",
    "purchases add up (I16)": """
        SELECT u.number FROM purchases u JOIN purchase_items i ON i.purchase_number = u.number
        GROUP BY u.number, u.total_minor, u.tax_minor
        HAVING sum(i.amount_minor) <> u.total_minor OR sum(i.tax_minor) <> u.tax_minor""",
    "refunds never exceed (I16)": """
        SELECT u.number FROM purchases u JOIN refunds r ON r.purchase_number = u.number
        GROUP BY u.number, u.final_minor HAVING sum(r.cash_minor) > u.final_minor""",
    "receipts have no gaps (R2)": """
        SELECT d.number FROM drawers d WHERE d.purchases_count <>
        (SELECT count(*) FROM purchases) OR d.purchases_count <>
        (SELECT coalesce(max(number), 0) FROM purchases)""",
    "one bill a period (I18)": """
        SELECT account_id FROM bills WHERE merged_into IS NULL AND bill_on IS NOT NULL
        GROUP BY account_id, bill_on HAVING count(*) > 1""",
    "payments are bound once (I18)": """
        SELECT b.customer_id FROM (SELECT customer_id, sum(paid_minor) AS paid FROM bills
            WHERE merged_into IS NULL GROUP BY customer_id) b
        JOIN (SELECT customer_id, sum(bound_minor) AS bound FROM bill_transactions
            WHERE duplicate_of IS NULL GROUP BY customer_id) t ON t.customer_id = b.customer_id
        WHERE b.paid <> t.bound""",
    "one run a date (I25)": """
        SELECT business_date FROM runs GROUP BY job, business_date HAVING count(*) > 1""",
    "customer credit is booked (G)": """
        SELECT c.customer_id FROM customer_credits c WHERE c.credit_minor <>
        -(SELECT coalesce(sum(p.amount_minor), 0) FROM postings p JOIN accounts a
          ON a.id = p.account_id WHERE a.name = 'customer-credit'
          AND p.customer_id = c.customer_id)""",
}

_ALL = " UNION ALL ".join(
    f"SELECT '{name}' AS name, count(*) AS found FROM ({text}) AS broken{number}"
    for number, (name, text) in enumerate(INVARIANTS.items())
)
_COUNTS = "SELECT " + ", ".join(
    f"(SELECT count(*) FROM {table})"
    for table in ("entries", "postings", "events", "processor_reports", "report_facts",
                  "purchases", "refunds", "bill_messages", "commands")
)  # fmt: skip


def broken_invariants(book: Book) -> list[str]:
    """Name the invariants that do not hold."""
    return [f"{name}: {found} rows" for name, found in book.query(_ALL) if found]


def row_counts(book: Book) -> tuple[int, ...]:
    """Count the rows that only ever become more. Source: I19."""
    return tuple(book.query(_COUNTS)[0])


def head_of(book: Book) -> str:
    """Tell the heads of the hash chains: everything that ever happened, in two hashes."""
    return repr(book.query("SELECT entry_seq, entry_hash, event_seq, event_hash FROM chain_heads"))
