"""Draws requests from an OpenAPI document: mostly sensible ones, and every kind of nonsense.

What answers tell (ids, numbers, values) goes into a pool that later requests draw from, so that
calls build on one another. The same seed draws the same, as long as the answers are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from tests.fuzz.asking import Asked

NONSENSE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 1e308, 0.1, -0.0,
    "", " ", "0", "-1", "1e5", "NaN", "Infinity", "0x10", "1_000", "12.345", "99999999999999999",
    "\u0661\u0662", "\x00", "\ud83d\ude00", "\u202e", "a" * 5_000, "' OR 1=1 --", "=cmd()", "../..",
    "2026-02-30", "9999-12-31", "0001-01-01", "2026-03-02", "2026-03-02T00:00:00", [], {}, [[]],
    [None], {"": None},
)  # fmt: skip
RAW: tuple[bytes, ...] = (
    b"", b"{", b"null", b"[]", b"NaN", b'{"amount": NaN}', b'{"a": 1, "a": 2}', b"\xff\xfe{}",
    b"\xef\xbb\xbf{}", b"[" * 5_000, b'{"a":' * 2_000, b'"\\ud800"', b"{}garbage", b"\x00",
)  # fmt: skip
WORDS = ("tea", "cup", "asha", "rent", "because", "Bescom", "A1", "\u017dlu\u0165ou\u010dk\u00fd")
AMOUNTS = ("1.00", "12.50", "120.00", 5, 100, "0.01", "1000000", "0.005", "-3.00", 12.5)


@dataclass
class Drawing:
    """Draws requests for one document, with what it has learnt so far."""

    document: Mapping[str, Any]
    dice: Random
    nonsense: float = 0.08
    """How often a value is nonsense."""
    pool: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    _drawn: int = 0

    def operations(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """List every call: method, path, and how it is described."""
        return [
            (method.upper(), path, described)
            for path, methods in self.document["paths"].items()
            for method, described in methods.items()
        ]

    def request(self, method: str, path: str, described: Mapping[str, Any]) -> Asked:
        """Draw a request for one call."""
        query: list[tuple[str, str]] = []
        headers: list[tuple[bytes, bytes]] = []
        for parameter in described.get("parameters", ()):
            name, schema = parameter["name"], parameter["schema"]
            if parameter["in"] == "path":
                value = self._text(self.value(schema, name))
                path = path.replace(f"{{{name}}}", quote(value, safe="") or "-")
            elif parameter["in"] == "query" and self.dice.random() < 0.3:
                query.append((name, self._text(self.value(schema, name))))
            elif parameter["in"] == "header" and self.dice.random() < 0.3:
                headers.append((name.lower().encode(), self._key()))
        if self.dice.random() < 0.02:
            query.append(("surprise", "1"))
        body = b""
        content = described.get("requestBody", {}).get("content")
        if content:
            media = self.dice.choice(list(content))
            headers.append((b"content-type", media.encode()))
            body = self._body(content[media].get("schema", {}), media)
        elif method == "POST" and self.dice.random() < 0.2:
            headers.append((b"content-type", b"text/csv"))
            body = b"transaction_id,result\ntxn_1,success\n#end,1\n"
        return Asked(method, path, urlencode(query, errors="replace"), body, headers)

    def learn(self, path: str, answer: Any) -> None:
        """Take what an answer tells into the pool, by the name of its field."""
        if isinstance(answer, dict):
            noun = re.sub(r"/\{.*?\}", "", path).rstrip("/").rpartition("/")[2]
            if "id" in answer:
                singular = noun.rstrip("s").replace("-", "_").rpartition("_")[2]
                self._keep(f"{singular}_id", answer["id"])
            for name, value in answer.items():
                if isinstance(value, dict | list):
                    self.learn(path, value)
                elif name.endswith("_id") or name in {"email", "value", "sku"}:
                    self._keep(name, value)
        elif isinstance(answer, list):
            for each in answer[:5]:
                self.learn(path, each)

    def value(self, schema: Any, name: str = "") -> Any:
        """Draw a value for a schema; now and then one that has nothing to do with it."""
        if self.dice.random() < self.nonsense:
            return self.dice.choice(NONSENSE)
        if reference := schema.get("$ref"):
            return self.value(self.document["components"]["schemas"][reference.rpartition("/")[2]])
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return self.value(self.dice.choice(schema[choice]), name)
        if "enum" in schema:
            return self.dice.choice(schema["enum"])
        known = self.pool.get(name)
        if known and self.dice.random() < 0.9:
            return self.dice.choice(known)
        return self._of_type(schema, name)

    def _of_type(self, schema: Any, name: str) -> Any:
        match schema.get("type"):
            case "object":
                return dict(self._fields(schema))
            case "array":
                count = self.dice.choice((1, 1, 1, 2, 3, 0))
                return [self.value(schema.get("items", {}), name) for _ in range(count)]
            case "integer":
                low, high = int(schema.get("minimum", 0)), int(schema.get("maximum", 10**6))
                return self.dice.choice((low, low + 1, self.dice.randint(low, min(high, 20)), high))
            case "number":
                return self.dice.choice((0, 1, 12.5, 100))
            case "boolean":
                return self.dice.random() < 0.5
            case "null":
                return None
            case _:
                return self._string(schema, name)

    def _fields(self, schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        required = set(schema.get("required", ()))
        for name, inner in schema.get("properties", {}).items():
            if self.dice.random() < (0.97 if name in required else 0.3):
                yield name, self.value(inner, name)
        if self.dice.random() < 0.02:
            yield "surprise", 1

    def _string(self, schema: Mapping[str, Any], name: str) -> Any:
        kind = schema.get("format")
        if kind == "date":
            return f"2026-0{self.dice.randint(1, 4)}-{self.dice.randint(1, 28):02d}"
        if kind == "date-time":
            return f"2026-03-02T0{self.dice.randint(0, 9)}:00:00Z"
        if "email" in name:
            return f"p{self.dice.randint(1, 30)}@example.org"
        if "account" in name or name == "number":
            known = self.pool.setdefault("numbers", [])
            if known and self.dice.random() < 0.6:
                return self.dice.choice(known)
            known.append(f"{self.dice.randint(10**9, 10**10)}")
            return known[-1]
        if schema.get("pattern"):
            return "USD" if "A-Z" in schema["pattern"] else self.dice.choice(AMOUNTS)
        self._drawn += 1
        return f"{self.dice.choice(WORDS)} {self._drawn % 500}"

    def _body(self, schema: Any, media: str) -> bytes:
        if self.dice.random() < 0.03:
            return self.dice.choice(RAW)
        if "json" not in media:
            return self.dice.choice((*RAW, b"transaction_id,result\n#end,0\n"))
        text = json.dumps(self.value(schema)).encode()
        if self.dice.random() < 0.03:
            at = self.dice.randrange(len(text))
            text = text[:at] + bytes([self.dice.randrange(256)]) + text[at + 1 :]
        return text

    def _key(self) -> bytes:
        return self.dice.choice((b"", b"k" * 256, *(f"key {n}".encode() for n in range(40))))

    def _text(self, value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        return text.encode(errors="replace").decode()

    def _keep(self, name: str, value: Any) -> None:
        known = self.pool.setdefault(name, [])
        if value is not None and value not in known:
            known.append(value)
            del known[:-40]
