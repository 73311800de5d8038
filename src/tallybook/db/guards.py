"""Triggers that keep history as it was written, on both databases.

Each raises an integrity error whose constraint name says what was tried, which db/errors.py reads.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION tallybook_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_ARGV[0];
END $$
"""


def make_append_only(connection: Connection, table: str) -> None:
    """Refuse UPDATE and DELETE of a table's rows, and TRUNCATE on PostgreSQL."""
    name = f"{table}_append_only"
    if connection.dialect.name == "postgresql":
        connection.execute(text(_POSTGRES_FUNCTION))
        connection.execute(
            text(
                f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION tallybook_refuse('{name}')"
            )
        )
        return
    for action in ("UPDATE", "DELETE"):
        connection.execute(
            text(
                f"CREATE TRIGGER {name}_{action.lower()} BEFORE {action} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{name}'); END"
            )
        )


def refuse_updates_when(connection: Connection, table: str, name: str, condition: str) -> None:
    """Refuse updates where a condition on OLD and NEW holds, said in SQL that both read."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_POSTGRES_FUNCTION))
        connection.execute(
            text(
                f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition})"
                f" EXECUTE FUNCTION tallybook_refuse('{name}')"
            )
        )
        return
    connection.execute(
        text(
            f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, '{name}'); END"
        )
    )


def refuse_deletes(connection: Connection, table: str) -> None:
    """Refuse DELETE of a table's rows, and TRUNCATE on PostgreSQL; updates are left alone."""
    name = f"{table}_no_delete"
    if connection.dialect.name == "postgresql":
        connection.execute(text(_POSTGRES_FUNCTION))
        connection.execute(
            text(
                f"CREATE TRIGGER {name} BEFORE DELETE OR TRUNCATE ON {table}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION tallybook_refuse('{name}')"
            )
        )
        return
    connection.execute(
        text(
            f"CREATE TRIGGER {name} BEFORE DELETE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{name}'); END"
        )
    )


def balance_entries(connection: Connection) -> None:
    """Refuse an entry whose postings do not sum to zero per currency, and late postings.

    Postings are inserted first, under a deferred foreign key, then their entry: its trigger finds
    them all and checks count, accounts and sums once for the whole statement. A posting whose
    entry stands already is refused, so nothing can be slipped under a checked entry. That an
    entry comes at all is the deferred foreign key's part. Source: docs/decisions/0006.
    """
    if connection.dialect.name == "postgresql":
        renew_balance_check(connection)
        for statement in _POSTGRES_BALANCE:
            connection.execute(text(statement))
        return
    for statement in _SQLITE_BALANCE:
        connection.execute(text(statement))


def renew_balance_check(connection: Connection) -> None:
    """Make the check of `balance_entries` anew, in a book that has an older one. PostgreSQL only.

    Each row of it is found by an index, so that it costs the same an entry however many come.
    """
    connection.execute(text(_POSTGRES_BALANCED))


_POSTGRES_BALANCED = """
CREATE OR REPLACE FUNCTION tallybook_entries_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM (
      SELECT e.seq, e.postings_count, sum(p.amount_minor) AS total, count(a.id) AS lines
      FROM fresh e
      LEFT JOIN postings p ON p.entry_seq = e.seq
      LEFT JOIN accounts a ON a.id = p.account_id
      GROUP BY e.seq, e.postings_count, a.currency
    ) s
    GROUP BY s.seq, s.postings_count
    HAVING sum(s.lines) <> s.postings_count OR bool_or(s.total <> 0)
  ) THEN
    RAISE EXCEPTION 'an entry is out of balance or misses postings'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entries_postings_balanced';
  END IF;
  RETURN NULL;
END $$"""

_POSTGRES_BALANCE = (
    """
CREATE TRIGGER entries_postings_balanced AFTER INSERT ON entries REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION tallybook_entries_balanced()""",
    """
CREATE OR REPLACE FUNCTION tallybook_postings_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM fresh p JOIN entries e ON e.seq = p.entry_seq) THEN
    RAISE EXCEPTION 'a posting comes after its entry'
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'postings_before_entry';
  END IF;
  RETURN NULL;
END $$""",
    """
CREATE TRIGGER postings_before_entry AFTER INSERT ON postings REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION tallybook_postings_first()""",
)

_SQLITE_BALANCE = (
    """
CREATE TRIGGER entries_postings_balanced AFTER INSERT ON entries
WHEN (SELECT count(*) FROM postings p JOIN accounts a ON a.id = p.account_id
      WHERE p.entry_seq = NEW.seq) <> NEW.postings_count
  OR EXISTS (SELECT 1 FROM postings p JOIN accounts a ON a.id = p.account_id
      WHERE p.entry_seq = NEW.seq GROUP BY a.currency HAVING sum(p.amount_minor) <> 0)
BEGIN SELECT RAISE(ABORT, 'entries_postings_balanced'); END""",
    """
CREATE TRIGGER postings_before_entry BEFORE INSERT ON postings
WHEN EXISTS (SELECT 1 FROM entries e WHERE e.seq = NEW.entry_seq)
BEGIN SELECT RAISE(ABORT, 'postings_before_entry'); END""",
)
