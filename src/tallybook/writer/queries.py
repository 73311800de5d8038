"""What is known of idempotency keys, read without a lock and without asking the writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from tallybook.db.reading import select_rows
from tallybook.writer.store import COMMAND_ROWS, COMMANDS, StoredCommand


def find_commands(connection: Connection, keys: Sequence[str]) -> Mapping[str, StoredCommand]:
    """Find what was asked under keys, and the replies. A key that is not here is new, or was.

    Another process may take one at any moment: whoever writes under a key hears of that.
    """
    wanted = select_rows(COMMAND_ROWS).where(COMMANDS.c.key.in_(keys))
    rows = (COMMAND_ROWS.row(row, sqlite=False) for row in connection.execute(wanted))
    return {row.key: row for row in rows}
