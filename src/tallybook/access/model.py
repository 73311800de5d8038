"""The nouns of access: a scope, an API key."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from tallybook.kernel.frozen import frozen


class Scope(StrEnum):
    """What a key is good for; each includes those before it."""

    READ = "read"
    """Look at everything; change nothing."""
    OPERATE = "operate"
    """Record what happens: customers, sales, messages. No money leaves the house by it."""
    MONEY = "money"
    """Send money, give it back, give it up, and rule on what waits for a person."""


@frozen
class ApiKey:
    """One key. Its text is shown once, when it is made; only its hash is kept."""

    id: str
    client_id: str
    """Who uses it. A key that takes another's place is the same client's, so that a request sent
    again with the new key is still the same request."""
    name: str
    """What people call the client."""
    scope: Scope
    hint: str
    """How its text begins, to tell keys apart by."""
    key_hash: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the hour."""
