"""`tallybook keys`: API keys made, looked at, replaced and revoked, on the machine of the book."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from tallybook.access.model import Scope
from tallybook.access.operations import REVOKE_KEY, RevokeKey
from tallybook.access.queries import list_keys
from tallybook.access.rules import KEY_BYTES, is_good
from tallybook.access.tasks import make_key, rotate_key
from tallybook.access.views import KEY_PREFIX
from tallybook.ambient.fresh import fresh_secret
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.ids import parse_id, show_id
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.kernel.text import on_one_line
from tallybook.writer.model import Command, Outcome


def create(
    name: str, scope: str, days: int | None, *, is_new_client: bool, **given: object
) -> None:
    """Make a key and show its text, once."""
    with _open(given) as engine:
        expires_at = None if days is None else engine.clock.now() + timedelta(days=days)
        secret = fresh_secret(KEY_BYTES)
        text, outcome = make_key(
            engine.door,
            secret,
            name.strip(),
            Scope(scope),
            expires_at,
            is_new_client=is_new_client,
        )
        _tell(outcome, text)


def rotate(key_id: str, kept_hours: int, **given: object) -> None:
    """Make another key for the same client; an old one that is good stays so for some hours."""
    with _open(given) as engine:
        ident = _ident(key_id)
        with engine.database.reader() as connection:
            held = {key.id: key for key in list_keys(connection)}
        now = engine.clock.now()
        has_ended = ident in held and not is_good(held[ident], now)
        kept_for = timedelta(hours=kept_hours)
        secret = fresh_secret(KEY_BYTES)
        text, outcome = rotate_key(engine.door, secret, ident, kept_for)
        _tell(outcome, text)
        print(
            "The old key has ended, and stays so."
            if has_ended
            else f"The old key stays good for {kept_hours} hours at most."
        )


def revoke(key_id: str, **given: object) -> None:
    """Revoke a key for ever."""
    with _open(given) as engine:
        asked = RevokeKey(_ident(key_id))
        _raise_refusal(engine.door.ask_now(Command(REVOKE_KEY, asked)))
        print(f"{key_id} is revoked. Servers see it within two seconds.")


def show(**given: object) -> None:
    """List every key there ever was; never its text."""
    with _open(given) as engine:
        with engine.database.reader() as connection:
            keys = list_keys(connection)
        now = engine.clock.now()
        rows = [
            (
                show_id(KEY_PREFIX, key.id),
                on_one_line(key.name),
                key.scope.value,
                f"{key.hint}...",
                key.created_at.date(),
                key.last_used_at.strftime("%Y-%m-%d %H:00") if key.last_used_at else "never",
                "good" if is_good(key, now) else "revoked" if key.revoked_at else "expired",
            )
            for key in keys
        ]
    headers = ("id", "name", "scope", "begins", "made", "last used", "state")
    print("\n".join(format_table(headers, rows)))
    if not rows:
        print("There is no key: the API is open, and to this machine alone.")


@contextmanager
def _open(given: dict[str, object]) -> Generator[Engine]:
    engine = Engine.open(load_settings(**given), may_create=False, sends_nothing=True)
    try:
        yield engine
    finally:
        engine.close()


def _tell(outcome: Outcome, text: str) -> None:
    _raise_refusal(outcome)
    key = outcome.value
    print(
        f"{text}\n"
        f"This is the key of {key.name} ({show_id(KEY_PREFIX, key.id)}, scope {key.scope.value})."
        " It is shown now and never again.\n"
        "Send it with every call: Authorization: Bearer, a space, and the key."
    )


def _ident(text: str) -> str:
    ident = parse_id(KEY_PREFIX, text)
    if ident is None:
        raise Refused(Refusal("api_key_not_found"))
    return ident


def _raise_refusal(outcome: Outcome) -> None:
    if outcome.refusal is not None:
        raise Refused(outcome.refusal)
