"""The guard: who may make a call. It stands before everything that serves one.

Without any API key in the book the API is this machine's alone: the server listens on loopback
only, and a page in somebody's browser can't reach it either, because the guard looks at Host and
Origin. With keys, every call needs one whose scope covers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Scope

from tallybook.ambient.clock import Clock
from tallybook.ambient.setting_types import is_loopback
from tallybook.kernel.refusal import Refusal
from tallybook.wire.problems import answer_problem

CLIENT_IN_SCOPE = "tallybook.client"
"""Where a request's scope says whose key it came with: a client's id."""
LACKS_IN_SCOPE = "tallybook.lacks"
"""Where it gives what tells the refusal of a key that is not good for some scope, or None."""
KEY_IN_SCOPE = "tallybook.api_key"
"""Where it says which key that was, for the log."""
PUBLIC = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/docs"})
"""What tells nothing of the book, and needs no key."""
PUBLIC_BELOW = "/docs/"
BUCKETS_MAX = 10_000
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tallybook"'}


class Held(Protocol):
    """A good key, as far as the guard looks at it."""

    @property
    def id(self) -> str:
        """Which key it is."""
        ...

    @property
    def client_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def scope(self) -> Any:  # noqa: ANN401 - a scope, which stands above the wire
        """What it is good for."""
        ...


class Keys(Protocol):
    """The key ring, which stands above the wire."""

    @property
    def is_empty(self) -> bool:
        """Whether no key was ever made."""
        ...

    def is_fresh(self) -> bool:
        """Tell whether what it knows may be believed."""
        ...

    async def refresh(self) -> None:
        """Read the keys anew."""
        ...

    def find(self, text: str) -> Held | None:
        """Find the good key that a text is."""
        ...


class Covers(Protocol):
    """Whether the scope of a key covers what a call needs."""

    def __call__(self, held: Any, needed: str) -> bool:  # noqa: ANN401 - a scope
        """Tell."""
        ...


@dataclass(slots=True)
class _Bucket:
    """How many calls somebody may make at once; it fills up with time."""

    left: float
    at: float


@dataclass(slots=True)
class Guard:
    """Lets a call in, or says why not."""

    keys: Keys
    covers: Covers
    clock: Clock
    rate: float = 0
    """How many calls a second one client may make; 0: as many as they like."""
    _buckets: dict[str, _Bucket] = field(default_factory=dict[str, _Bucket])

    async def admit(self, scope: Scope, needed: str | None) -> ASGIApp | None:
        """See whether a call may be served; gives what answers it where it may not.

        `needed` is the scope that the call's route needs; None where there is no such route.
        """
        path: str = scope["path"]
        if path in PUBLIC or path.startswith(PUBLIC_BELOW):
            return None
        if not self.keys.is_fresh():
            try:
                await self.keys.refresh()
            except (SQLAlchemyError, OSError):
                # Whoever can't be asked for proof lets nobody in.
                return answer_problem(scope, Refusal("busy"))
        if self.keys.is_empty:
            refusal = _stranger(scope)
            if refusal is not None:
                return answer_problem(scope, refusal)
            return self._slow_down(scope, _peer_of(scope))
        return self._admit_with_key(scope, needed)

    def _admit_with_key(self, scope: Scope, needed: str | None) -> ASGIApp | None:
        text = _bearer(scope)
        if text is None:
            return answer_problem(scope, Refusal("api_key_missing"), _CHALLENGE)
        key = self.keys.find(text)
        if key is None:
            return answer_problem(scope, Refusal("api_key_invalid"), _CHALLENGE)
        scope[CLIENT_IN_SCOPE], scope[KEY_IN_SCOPE] = key.client_id, key.id
        scope[LACKS_IN_SCOPE] = partial(self._lacks, key)
        if needed is not None and (refusal := self._lacks(key, needed)) is not None:
            return answer_problem(scope, refusal)
        return self._slow_down(scope, key.client_id)

    def _lacks(self, key: Held, needed: str) -> Refusal | None:
        if self.covers(key.scope, needed):
            return None
        details = {"needed": needed, "held": str(key.scope)}
        return Refusal("scope_insufficient", details=details)

    def _slow_down(self, scope: Scope, whose: str) -> ASGIApp | None:
        if not self.rate:
            return None
        now = self.clock.monotonic()
        bucket = self._buckets.get(whose)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._buckets.clear()  # everyone begins anew, with a full one
            bucket = self._buckets[whose] = _Bucket(max(1.0, self.rate), now)
        bucket.left = min(max(1.0, self.rate), bucket.left + (now - bucket.at) * self.rate)
        bucket.at = now
        if bucket.left >= 1:
            bucket.left -= 1
            return None
        wait = max(1, round((1 - bucket.left) / self.rate))
        refusal = Refusal("rate_limited", details={"a_second": self.rate})
        return answer_problem(scope, refusal, {"Retry-After": str(wait)})


@lru_cache(maxsize=64)
def _names_this_machine(host: str) -> bool:
    """Tell whether a Host can only mean this machine; most calls bring the same one."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False  # `[::1` and `[zz]` are no hosts


def _is_of(origin: str, host: str) -> bool:
    """Tell whether a page from an Origin came from the very server that it calls."""
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _bearer(scope: Scope) -> str | None:
    """Find the key that a request carries; None for none, or for more than one."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        return None
    kind, _, text = given[0].decode("latin-1").partition(" ")
    return text.strip() if kind.lower() == "bearer" else None


def _peer_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "here"


def _stranger(scope: Scope) -> Refusal | None:
    """Refuse what a page from elsewhere makes a browser on this machine send."""
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    if not _names_this_machine(host):
        return Refusal("host_not_served")
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and not _is_of(origin, host):
        return Refusal("origin_not_allowed")
    if headers.get(b"sec-fetch-site", b"same-origin") in (b"cross-site", b"same-site"):
        return Refusal("origin_not_allowed")
    return None
