"""What a key looks like, when it is good, and what it allows. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from datetime import datetime, timedelta

from tallybook.access.model import ApiKey, Scope

KEY_BYTES = 32
"""256 bits of chance: nobody guesses them, so that a plain hash keeps them safe."""
HINT_CHARACTERS = 10
NAME_MAX = 100
"""How long a client's name may be. Units: characters."""
USE_NOTED_EVERY = timedelta(hours=1)
"""How exactly it is kept when a key was last used: a write for each call would cost too much."""

_PREFIX = "tbk_"
_SHAPE = re.compile(r"tbk_[A-Za-z0-9_-]{43}[0-9a-f]{8}\Z")
_ORDER = (Scope.READ, Scope.OPERATE, Scope.MONEY)


def write_key(secret: bytes) -> str:
    """Write a key as text: a prefix that scanners know, the secret, and a checksum.

    >>> write_key(bytes(32))[:12], len(write_key(bytes(32)))
    ('tbk_AAAAAAAA', 55)
    """
    assert len(secret) == KEY_BYTES
    body = _PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")
    return f"{body}{zlib.crc32(body.encode()):08x}"


def looks_like_key(text: str) -> bool:
    """Tell whether a text can be a key at all; a typing mistake can't.

    >>> looks_like_key(write_key(bytes(32))), looks_like_key("tbk_password")
    (True, False)
    """
    if not _SHAPE.match(text):
        return False
    return f"{zlib.crc32(text[:-8].encode()):08x}" == text[-8:]


def hash_key(text: str) -> str:
    """Hash a key as it is kept and found."""
    return hashlib.sha256(text.encode()).hexdigest()


def hint_of(text: str) -> str:
    """Tell how a key begins: enough to know it by, far too little to use it."""
    return text[:HINT_CHARACTERS]


def is_good(key: ApiKey, now: datetime) -> bool:
    """Tell whether a key opens anything now."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def covers(held: Scope, needed: Scope) -> bool:
    """Tell whether one scope has another in it.

    >>> covers(Scope.MONEY, Scope.READ), covers(Scope.READ, Scope.OPERATE)
    (True, False)
    """
    return _ORDER.index(held) >= _ORDER.index(needed)
