"""`tallybook keys`: API keys."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tallybook.entrypoints.cli.options import Database, command

group = typer.Typer(
    help="Make, list, replace and revoke API keys.", rich_markup_mode=None, no_args_is_help=True
)


class KeyScope(StrEnum):
    """What a key is good for; each has those before it in it."""

    read = "read"
    operate = "operate"
    money = "money"


KeyId = Annotated[str, typer.Argument(metavar="ID", help="A key's id, as `keys list` shows it.")]


@command(group, "create")
def create_key(
    *,
    name: Annotated[str, typer.Argument(help="Who will use it, such as till-1.")],
    scope: Annotated[
        KeyScope, typer.Option(help="read: look; operate: record as well; money: everything.")
    ] = KeyScope.read,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it is good. [default: until revoked]")
    ] = None,
    new_client: Annotated[
        bool, typer.Option("--new-client", help="Another client of a name that is in use is meant.")
    ] = False,
    database: Database = None,
) -> None:
    """Make a new client's API key, and show it once.

    From the first key on every call needs one, and `serve` may listen at other addresses than this
    machine's own. Only a hash of the key is kept. The next key of a client that has one, or had
    one, is made by `keys rotate`.

    Examples:
      tallybook keys create dashboard
      tallybook keys create till-1 --scope operate --days 365
    """
    from tallybook.entrypoints.commands.keys import create

    create(name, scope.value, days, is_new_client=new_client, database_url=database)


@command(group, "list")
def list_api_keys(*, database: Database = None) -> None:
    """List every API key: whose, what for, when last used.

    Example:
      tallybook keys list
    """
    from tallybook.entrypoints.commands.keys import show

    show(database_url=database)


@command(group, "rotate")
def rotate_key(
    *,
    key_id: KeyId,
    keep_hours: Annotated[
        int, typer.Option(min=0, max=720, help="How long the old key stays good.")
    ] = 24,
    database: Database = None,
) -> None:
    """Make another key for a client; the old one ends by itself.

    A request sent again with the new key is still the same request. So this is what makes the next
    key after one was revoked, or has expired.

    Example:
      tallybook keys rotate key_0193... --keep-hours 2
    """
    from tallybook.entrypoints.commands.keys import rotate

    rotate(key_id, keep_hours, database_url=database)


@command(group, "revoke")
def revoke_key(*, key_id: KeyId, database: Database = None) -> None:
    """Revoke an API key for ever; servers see it in two seconds.

    Example:
      tallybook keys revoke key_0193...
    """
    from tallybook.entrypoints.commands.keys import revoke

    revoke(key_id, database_url=database)
