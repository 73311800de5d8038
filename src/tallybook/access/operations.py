"""The writes: make a key, put another in its place, revoke one, note that it was used."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timedelta

from tallybook.access.model import ApiKey, Scope
from tallybook.access.rules import NAME_MAX, USE_NOTED_EVERY, is_good
from tallybook.access.store import API_KEYS, KEYS_OF_NAME
from tallybook.access.views import KEY_PREFIX, key_view
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.refusal import Refusal
from tallybook.kernel.text import unfit_text
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class KeyText:
    """A fresh key's text on its way in: its hash and how it begins, never the text itself."""

    key_hash: str = field(repr=False)
    hint: str


@frozen
class CreateKey:
    """A new client's first key."""

    name: str
    scope: Scope
    text: KeyText
    expires_at: datetime | None = None
    is_new_client: bool = False
    """Whether another client of a name that is in use is meant."""


class CreateKeyOperation:
    """Makes a key for a client that has none yet."""

    name = "access.create_key"

    def needs(self, command: CreateKey, seen: View) -> Needs:
        """Look up the keys of the name."""
        del seen
        return Needs(look_up=((KEYS_OF_NAME, command.name),))

    def decide(
        self, view: View, command: CreateKey, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Make it, where the client's name is one that a list can show, and nobody's yet.

        Two clients of one name look like one, and the second doesn't get the first one's stored
        replies: what it asks again would be done again.
        """
        unfit = unfit_text("name", command.name, NAME_MAX, lines=False)
        if unfit is not None:
            return unfit
        held = view.rows(KEYS_OF_NAME, command.name)
        if held and not command.is_new_client:
            last = max(held, key=lambda key: (key.created_at, key.id))
            details = {"key_id": show_id(KEY_PREFIX, last.id)}
            return Refusal("client_name_taken", param="name", details=details)
        key = _new_key(command.name, command.scope, command.text, ids.fresh(), moment, ids)
        key = replace(key, expires_at=command.expires_at)
        return _decision("created", key, added=((API_KEYS, key),), status=201)


@frozen
class RotateKey:
    """A key that another is to take the place of."""

    key_id: str
    text: KeyText
    kept_for: timedelta
    """How long the old one stays good, so that nobody is locked out meanwhile."""


class RotateKeyOperation:
    """Makes another key for the same client; the old one ends by itself, if it has not yet."""

    name = "access.rotate_key"

    def needs(self, command: RotateKey, seen: View) -> Needs:
        """Lock the key."""
        del seen
        return Needs(lock=((API_KEYS, command.key_id),))

    def decide(
        self, view: View, command: RotateKey, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Make the new one. An old one that has ended, by whatever, stays as it is."""
        old = view.row(API_KEYS, command.key_id)
        if old is None:
            return Refusal("api_key_not_found")
        changed: tuple[tuple[object, object], ...] = ()
        if is_good(old, moment.now):
            until = moment.now + command.kept_for
            ending = replace(old, expires_at=min(until, old.expires_at or until))
            changed = ((API_KEYS, ending),)
        key = _new_key(old.name, old.scope, command.text, old.client_id, moment, ids)
        return _decision("rotated", key, added=((API_KEYS, key),), changed=changed, status=201)


@frozen
class RevokeKey:
    """A key that is to open nothing any more."""

    key_id: str


class RevokeKeyOperation:
    """Revokes a key, for ever."""

    name = "access.revoke_key"

    def needs(self, command: RevokeKey, seen: View) -> Needs:
        """Lock the key."""
        del seen
        return Needs(lock=((API_KEYS, command.key_id),))

    def decide(
        self, view: View, command: RevokeKey, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Revoke it; one that was revoked stays so."""
        del ids
        key = view.row(API_KEYS, command.key_id)
        if key is None:
            return Refusal("api_key_not_found")
        if key.revoked_at is not None:
            return Decision(reply=Reply(200, key_view(key)), value=key)
        revoked = replace(key, revoked_at=moment.now)
        return _decision("revoked", revoked, changed=((API_KEYS, revoked),), status=200)


@frozen
class NoteKeyUse:
    """That a key was used."""

    key_id: str


class NoteKeyUseOperation:
    """Notes when a key was last used, once an hour at most."""

    name = "access.note_key_use"

    def needs(self, command: NoteKeyUse, seen: View) -> Needs:
        """Lock the key."""
        del seen
        return Needs(lock=((API_KEYS, command.key_id),))

    def decide(
        self, view: View, command: NoteKeyUse, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Note it, unless that was done within the hour or the key is gone."""
        del ids
        key = view.row(API_KEYS, command.key_id)
        if key is None or key.revoked_at is not None or not is_use_news(key, moment.now):
            return Decision()
        used = replace(key, last_used_at=moment.now)
        return _decision("used", used, changed=((API_KEYS, used),), status=200)


def is_use_news(key: ApiKey, now: datetime) -> bool:
    """Tell whether it is worth a write that a key was used just now."""
    return key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY


def _new_key(
    name: str, scope: Scope, text: KeyText, client_id: str, moment: Moment, ids: Ids
) -> ApiKey:
    return ApiKey(
        id=ids.fresh(),
        client_id=client_id,
        name=name,
        scope=scope,
        hint=text.hint,
        key_hash=text.key_hash,
        created_at=moment.now,
        expires_at=None,
        revoked_at=None,
        last_used_at=None,
    )


def _decision(
    verb: str,
    key: ApiKey,
    *,
    status: int,
    added: tuple[tuple[object, object], ...] = (),
    changed: tuple[tuple[object, object], ...] = (),
) -> Decision:
    body = {"name": key.name, "scope": key.scope.value, "hint": key.hint}
    return Decision(
        added=added,  # pyright: ignore[reportArgumentType] - shelves with their rows, as everywhere
        changed=changed,  # pyright: ignore[reportArgumentType] - as above
        events=(Event(f"access.key.{verb}", key.id, body),),
        reply=Reply(status, key_view(key)),
        value=key,
    )


CREATE_KEY = CreateKeyOperation()
ROTATE_KEY = RotateKeyOperation()
REVOKE_KEY = RevokeKeyOperation()
NOTE_KEY_USE = NoteKeyUseOperation()
