"""Keys as people see them: never the text, never the hash."""

from __future__ import annotations

from typing import Any

from tallybook.access.model import ApiKey
from tallybook.kernel.ids import show_id

KEY_PREFIX = "key"


def key_view(key: ApiKey) -> dict[str, Any]:
    """Show a key."""
    return {
        "id": show_id(KEY_PREFIX, key.id),
        "name": key.name,
        "scope": key.scope.value,
        "hint": key.hint,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
