"""The key that a book goes with: read or made on opening, and told from any other."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, select

from tallybook.ambient.secrets import Secrets, SecretsError
from tallybook.customers.model import account_context
from tallybook.customers.store import BANK_ACCOUNTS_TABLE
from tallybook.db.engine import Database
from tallybook.writer.book_key import find_key_check, keep_key_check

_NAME_IT = "Name the right one in TALLYBOOK_KEY_FILE or TALLYBOOK_HOME"
_FORGET_IT = " If it is lost: no account number is sealed with it, see `tallybook db forget-key`."


def open_secrets(path: Path, database: Database, *, may_claim: bool) -> Secrets:
    """Read or make the sealing key, and make sure that it is this book's.

    With another key every account would look unknown, and its number could be registered twice.
    The first who may claim the book for their key does, so that no second machine begins with
    another. Source: decision 0050.

    Raises: SecretsError.
    """
    with database.reader() as connection:
        sealed = _any_account(connection)
        kept = find_key_check(connection)
    hint = "" if sealed is not None else _FORGET_IT
    if (sealed is not None or kept is not None) and not path.exists():
        raise SecretsError(
            f"the key file {path} is missing, and this book goes with a key that was made before:"
            " account numbers and reports are sealed with it. Restore it, or copy it from the"
            f" machine that has it. {_NAME_IT}.{hint}"
        )
    secrets = Secrets.load_or_create(path)
    if sealed is not None:
        try:
            secrets.unseal(sealed[1], context=account_context(sealed[0]))
        except SecretsError as error:
            raise _not_the_one(path) from error
    if kept is None and may_claim:
        kept = keep_key_check(database, secrets.check_value)
    if kept is not None and kept != secrets.check_value:
        raise _not_the_one(path, hint)
    return secrets


def forget_key(database: Database) -> None:
    """Let a book go with whatever key it is opened with next, where that can do no harm.

    Raises: SecretsError where account numbers are sealed with the one it has.
    """
    with database.reader() as connection:
        if _any_account(connection) is not None:
            raise SecretsError(
                "account numbers are sealed with this book's key, and no other can open them."
                " It has to be found"
            )
    keep_key_check(database, None, instead=True)


def _any_account(connection: Connection) -> tuple[str, bytes] | None:
    columns = BANK_ACCOUNTS_TABLE.c.id, BANK_ACCOUNTS_TABLE.c.number_sealed
    found = connection.execute(select(*columns).limit(1)).first()
    return None if found is None else (found[0], found[1])


def _not_the_one(path: Path, hint: str = "") -> SecretsError:
    return SecretsError(
        f"the key file {path} is not the one that this book goes with: account numbers and reports"
        f" are sealed with that, and all its servers need the same. {_NAME_IT}.{hint}"
    )
