"""Patterns as rule files write them: shorthands, blanks, and the check that keeps them linear."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import re2

from tallybook.bills.reading.formats import DATE, NUMBER, money_pattern
from tallybook.kernel.frozen import frozen

ACCOUNT = r"[0-9x*.]*[0-9a-z][0-9a-z*/-]*[0-9]"
"""A consumer number, a card's last digits or a masked account: it ends in a digit."""

FIELDS = frozenset({
    "amount", "minimum_due", "bill_date", "due_on", "paid_on", "account_number", "reference",
    "paid_from", "issuer",
})  # fmt: skip
"""What a pattern's named groups may be called."""

_MONEYS = frozenset({"amount", "minimum_due"})
_DATES = frozenset({"bill_date", "due_on", "paid_on"})
_NUMBERS = frozenset({"account_number", "paid_from"})
_SHORTHAND = re.compile(r"\{([a-z_]+)(?::([a-z_]+))?\}")
_BLANK = re.compile(r" ([?*+]?)")


class PatternError(ValueError):
    """A pattern can't be used; the message says why."""


class Match:
    """Where a pattern was found. Units: byte offsets."""

    __slots__ = ("_content", "_spans")

    def __init__(self, content: bytes, spans: Sequence[tuple[int, int]]) -> None:
        self._content = content
        self._spans = spans

    def span(self, group: int = 0) -> tuple[int, int]:
        """Tell where a group stands; (-1, -1) where it took no part."""
        return self._spans[group]

    def has(self, group: int) -> bool:
        """Tell whether a group took part."""
        return self._spans[group][0] >= 0

    def text(self, group: int = 0) -> str:
        """Give what a group holds; empty where it took no part."""
        start, end = self._spans[group]
        return self._content[start:end].decode(errors="replace") if start >= 0 else ""


@frozen
class Pattern:
    """One compiled pattern. It takes time linear in the text, whatever either of them says."""

    source: str
    expanded: bytes
    find: Callable[[bytes, int, int], Sequence[tuple[int, int]]]
    """RE2's own search: where all groups stand, the first of them (-1, -1) where nothing is."""
    groups: tuple[tuple[str, int], ...]

    def search(self, content: bytes) -> Match | None:
        """Find the first match."""
        spans = self.find(content, 0, len(content))
        return Match(content, spans) if spans[0][0] >= 0 else None

    def each(self, content: bytes) -> list[Match]:
        """Find all matches, from left to right."""
        found: list[Match] = []
        place, length = 0, len(content)
        while place <= length:
            spans = self.find(content, place, length)
            start, end = spans[0]
            if start < 0:
                break
            found.append(Match(content, spans))
            # A match of nothing is passed by, or it would be found for ever.
            place = end if end > place else place + 1
        return found

    def matches(self, content: bytes) -> bool:
        """Tell whether it is found at all."""
        return self.find(content, 0, len(content))[0][0] >= 0

    def blank_out(self, content: bytes) -> bytes:
        """Put as many marks in the place of each match, so that other places stay."""
        blanked = bytearray(content)
        for match in self.each(content):
            start, end = match.span()
            blanked[start:end] = b"~" * (end - start)
        return bytes(blanked)


class PatternSet:
    """Many patterns found in one pass: telling which of 300 match costs hardly more than one."""

    def __init__(self, patterns: Sequence[Pattern], *, ignore_case: bool = True) -> None:
        self.found: Callable[[bytes], Sequence[int]] = _find_none
        """Tells which patterns are found, by their places in the sequence, in no order."""
        if patterns:
            made: Any = re2.Set.SearchSet(_options(ignore_case=ignore_case))
            for pattern in patterns:
                made.Add(pattern.expanded)
            made.Compile()
            self.found = made._set.Match  # noqa: SLF001 - past the public call, as in _finder

    def matching(self, content: bytes) -> list[int]:
        """Tell which patterns are found, by their places in the sequence, lowest first."""
        return sorted(self.found(content))

    def first(self, content: bytes) -> int | None:
        """Tell which of the patterns that are found stands first in the sequence."""
        found = self.found(content)
        return min(found) if found else None


def _find_none(_content: bytes) -> Sequence[int]:
    return ()


def _options(*, ignore_case: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.log_errors = False
    # What the automaton may grow to; it starts over when it is full, and stays linear.
    options.max_mem = 256 << 20
    return options


def compile_pattern(source: str, *, ignore_case: bool = True) -> Pattern:
    """Compile a pattern as a rule file writes it.

    `{amount}` and the other fields stand for money, a date or a number under that name; `{money}`
    and `{date}` for one without a name; a space for one space or more.
    Raises: PatternError, also for a repeat inside a repeat, which is a slip at best.
    """
    expanded = _blanks(_SHORTHAND.sub(_expand, source))
    refuse_nested_repeats(source)
    content = expanded.encode()
    try:
        compiled = re2.compile(content, _options(ignore_case=ignore_case))
    except re2.error as error:
        raise PatternError(f"the pattern is broken: {_reason(error)}") from error
    groups: list[tuple[str, int]] = []
    for name, number in compiled.groupindex.items():
        text = name.decode()
        if text not in FIELDS:
            raise PatternError(f"a group may not be called {text!r}: {', '.join(sorted(FIELDS))}")
        groups.append((text, number))
    return Pattern(source, content, _finder(compiled), tuple(groups))


def _finder(compiled: Any) -> Callable[[bytes, int, int], Sequence[tuple[int, int]]]:  # noqa: ANN401 - RE2 has no types
    """Give the search that all of the module's own calls end in.

    Those go through a generator and make an object for each match, which in a text as short as a
    message costs as much again as the search.
    """
    library: Any = re2
    anywhere = library._Anchor.UNANCHORED  # noqa: SLF001 - it has no public name
    return partial(compiled._regexp.Match, anywhere)  # noqa: SLF001 - as said above


def _expand(match: re.Match[str]) -> str:
    name = match.group(1)
    if name == "money":
        return money_pattern("amount").replace("(?P<amount>", "(?:")
    if name == "number":
        return NUMBER
    if name == "date":
        return DATE
    if name in _MONEYS:
        return money_pattern(name)
    if name in _DATES:
        return f"(?P<{name}>{DATE})"
    if name in _NUMBERS:
        return f"(?P<{name}>{ACCOUNT})"
    if name == "reference":
        return r"(?P<reference>[0-9a-z]*[0-9][0-9a-z]*)"
    raise PatternError(f"there is no shorthand {{{name}}}")


def _blanks(source: str) -> str:
    """Let a space stand for any number of them, outside of character classes."""
    pieces = re.split(r"(\[\^?\]?[^\]]*\])", source)
    return "".join(
        piece if index % 2 else _BLANK.sub(_blank, piece) for index, piece in enumerate(pieces)
    )


def _blank(match: re.Match[str]) -> str:
    return " *" if match.group(1) in ("?", "*") else " +"


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


# -- repeats inside repeats --------------------------------------------------------------------

_UNBOUNDED = re.compile(r"[*+]|\{[0-9]+,\}")
_REPEAT = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}")
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P<[^>]*>|\(\?[a-zA-Z]*:?|.", re.DOTALL)


def refuse_nested_repeats(source: str) -> None:
    """Refuse `(a+)+` and its like: a repeat whose body is nothing but another repeat.

    RE2 would still take linear time, so this costs nobody an outage; but it always means
    something else than its author thought, and the rule file could not be used with another
    engine. Raises: PatternError.
    """
    stack: list[list[bool]] = [[False, False]]  # of each open group: [has a repeat, has a must]
    atoms = _ATOM.findall(source)
    position = 0
    while position < len(atoms):
        atom = atoms[position]
        rest = "".join(atoms[position + 1 : position + 8])
        position += 1
        if atom.startswith("("):
            stack.append([False, False])
            continue
        repeats_inside, must_inside = False, True
        if atom == ")" and len(stack) > 1:
            repeats_inside, must_inside = stack.pop()
            if repeats_inside and not must_inside and _UNBOUNDED.match(rest):
                raise PatternError(
                    "a repeat inside a repeat, such as (a+)+, takes exponential time elsewhere:"
                    " write it with one repeat"
                )
        elif atom == "|":
            continue
        repeat = _REPEAT.match(rest)
        if repeat is None:
            stack[-1][1] = stack[-1][1] or must_inside
            stack[-1][0] = stack[-1][0] or repeats_inside
            continue
        position += len(re.findall(_ATOM, repeat.group()))
        is_unbounded = _UNBOUNDED.match(repeat.group()) is not None
        stack[-1][0] = stack[-1][0] or is_unbounded or repeats_inside
