"""The rulebook: rule files read, checked, and proved on their own samples before they are used."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tallybook.bills.model import AccountType, Kind
from tallybook.bills.reading.model import Verdict
from tallybook.bills.reading.patterns import FIELDS, Pattern, PatternError, compile_pattern
from tallybook.kernel.frozen import frozen

SHIPPED = Path(__file__).parent / "rules"
ROLES = frozenset({"biller", "bank", "wallet"})
_VERDICTS = {
    "NOISE": Verdict.NOISE, "OTP": Verdict.OTP, "PHISHING": Verdict.PHISHING,
    "DEBIT": Verdict.MOVEMENT, "CREDIT": Verdict.MOVEMENT,
}  # fmt: skip


class RuleFileError(ValueError):
    """A rule file can't be used: which one, which line, why."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file, self.line, self.reason = file, line, reason


@frozen
class Sample:
    """A text of our own that a rule must read as it says; run whenever the rules are loaded."""

    text: str
    sender: str | None
    expected: Mapping[str, Any]
    file: str
    line: int
    rule: str | None
    """The rule that must be the one to read it; None where any may."""


@frozen
class Rule:
    """One way to tell what a message is."""

    name: str
    verdict: Verdict
    kind: Kind | None
    pattern: Pattern
    unless: Pattern | None = None
    also: Pattern | None = None
    """What must be found besides, wherever it stands."""
    ignoring: Pattern | None = None
    """What is blanked out of the text before any of these are looked for."""
    beside: frozenset[str] = frozenset()
    """Fields of which one must be read as well, or a person looks."""
    senders: frozenset[str] = frozenset()
    """The biller's part of the headers it is for; empty: any."""
    bill_type: AccountType | None = None
    other_sort: bool = False
    """A bill of a sort that has no account type: tax, water, insurance. Source: B2."""
    issuer: str | None = None
    confidence: int = 90
    doubt: str | None = None
    """Why a person should look at what this rule reads, if that is always so."""
    raw: bool = False
    """Whether it sees the set phrases that mean nothing (`[[neutral]]`) too."""
    is_credit: bool = False
    order: int = 0


@frozen
class Doubt:
    """Words that make what any rule reads doubtful, its sender's own rules included."""

    why: str
    pattern: Pattern
    unless: Pattern | None = None
    only_kinds: frozenset[str] = frozenset()
    only_rules: frozenset[str] = frozenset()
    """By name; empty: whichever rule read it."""


@frozen
class Issuer:
    """Someone who sends bills, or reports their payment."""

    name: str
    role: str
    bill_type: AccountType | None = None
    other_sort: bool = False
    senders: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    is_everyday_word: bool = False
    """Its name means something else in most texts, so that it names nobody by itself."""


@frozen
class Cue:
    """What the words around an amount or a date make of it, or what a field looks like."""

    name: str
    before: Pattern | None = None
    after: Pattern | None = None
    pattern: Pattern | None = None
    confidence: int = 90
    only_kinds: frozenset[str] = frozenset()


@dataclass(slots=True)
class Rulebook:
    """All rules, indexed so that a message meets only those that may know it."""

    currency: str = "INR"
    by_sender: dict[str, list[Rule]] = field(default_factory=dict)
    anywhere: list[Rule] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    issuers: list[Issuer] = field(default_factory=list)
    money_cues: list[Cue] = field(default_factory=list)
    date_cues: list[Cue] = field(default_factory=list)
    type_cues: list[tuple[Pattern, AccountType | None]] = field(default_factory=list)
    """None: a bill of another sort."""
    field_cues: list[Cue] = field(default_factory=list)
    name_cues: list[Pattern] = field(default_factory=list)
    not_names: set[str] = field(default_factory=set[str])
    """What those cues find and what is nobody's name, in small letters."""
    neutral: list[Pattern] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def add_rule(self, rule: Rule) -> None:
        """Take in a rule behind those that are there."""
        self.rules.append(rule)
        if rule.senders:
            for sender in rule.senders:
                self.by_sender.setdefault(sender, []).append(rule)
        else:
            self.anywhere.append(rule)


def read_rule_files(paths: Iterable[Path]) -> Rulebook:
    """Load rule files in order: what stands earlier is tried earlier, specific before generic.

    Raises: RuleFileError with the line, for TOML that does not parse, an unknown field, a pattern
    that is broken or exponential. Samples are run by reader.prove.
    """
    book = Rulebook()
    found: list[Rule] = []
    for path in paths:
        source = path.read_text(encoding="utf-8")
        try:
            content = tomllib.loads(source)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line ([0-9]+)", str(error))
            raise RuleFileError(
                path.name, int(line.group(1)) if line else len(source.splitlines()), str(error)
            ) from error
        found.extend(_File(path.name, source).take(content, book))
    # A sender's own rules come before those for anyone, whichever file they stand in; and before
    # all of them what may not be stored, whoever sent it.
    ordered = sorted(found, key=lambda rule: (rule.verdict is not Verdict.OTP, not rule.senders))
    names: set[str] = set()
    for order, rule in enumerate(ordered):
        if rule.name in names:
            raise RuleFileError("rules", 1, f"two rules are called {rule.name!r}")
        names.add(rule.name)
        object.__setattr__(rule, "order", order)
        book.add_rule(rule)
    return book


class _File:
    """One rule file while it is read: it knows the lines of what it complains about."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._lines = source.splitlines()

    def take(self, content: dict[str, Any], book: Rulebook) -> list[Rule]:
        book.currency = content.pop("currency", book.currency)
        book.not_names |= {str(name).lower() for name in content.pop("not_names", ())}
        rules = [self._rule(table, number, book)
                 for number, table in enumerate(content.pop("rule", []))]  # fmt: skip
        book.issuers += [
            self._issuer(table, number) for number, table in enumerate(content.pop("issuer", []))
        ]
        for key, cues in (
            ("money", book.money_cues), ("date", book.date_cues), ("field", book.field_cues)
        ):  # fmt: skip
            cues += [
                self._cue(key, table, number) for number, table in enumerate(content.pop(key, []))
            ]
        for number, table in enumerate(content.pop("type", [])):
            kind = self._bill_type(table.get("type"), self._line("type", number))
            book.type_cues.append((self._pattern("type", table, "pattern", number), kind[0]))
        for number, table in enumerate(content.pop("neutral", [])):
            book.neutral.append(self._pattern("neutral", table, "pattern", number))
        book.doubts += [
            self._doubt(table, number) for number, table in enumerate(content.pop("doubt", []))
        ]
        for number, table in enumerate(content.pop("unnamed", [])):
            book.name_cues.append(
                self._pattern("unnamed", table, "pattern", number, ignore_case=False)
            )
        for number, table in enumerate(content.pop("sample", [])):
            book.samples.append(self._sample(table, self._line("sample", number), None))
        if content:
            unknown = next(iter(content))
            raise RuleFileError(self.name, self._line_of(unknown), f"unknown section {unknown!r}")
        return rules

    def _rule(self, table: dict[str, Any], number: int, book: Rulebook) -> Rule:
        line = self._line("rule", number)
        allowed = {"name", "kind", "pattern", "unless", "also", "ignoring", "beside", "sender",
                   "type", "issuer", "confidence", "doubt", "raw", "sample"}  # fmt: skip
        if unknown := set(table) - allowed:
            raise RuleFileError(self.name, line, f"a rule has no field {min(unknown)!r}")
        if "name" not in table or "kind" not in table or "pattern" not in table:
            raise RuleFileError(self.name, line, "a rule has a name, a kind and a pattern")
        kind_text = str(table["kind"])
        if kind_text not in _VERDICTS and kind_text not in set(Kind):
            raise RuleFileError(self.name, line, f"there is no kind {kind_text!r}")
        bill_type, other_sort = self._bill_type(table.get("type"), line)
        pattern = self._pattern("rule", table, "pattern", number)
        if unread := set(_texts(table.get("beside", ()))) - FIELDS:
            raise RuleFileError(self.name, line, f"no field is called {min(unread)!r}")
        senders = frozenset(str(code).upper() for code in _texts(table.get("sender", ())))
        if not table.get("sample") and senders:
            raise RuleFileError(self.name, line, f"{table['name']}: no sample proves it")
        for sample in table.get("sample", ()):
            book.samples.append(self._sample(sample, line, str(table["name"])))
        return Rule(
            name=str(table["name"]),
            verdict=_VERDICTS.get(kind_text, Verdict.BILL),
            kind=None if kind_text in _VERDICTS else Kind(kind_text),
            pattern=pattern,
            unless=self._maybe("rule", table, "unless", number),
            also=self._maybe("rule", table, "also", number),
            ignoring=self._maybe("rule", table, "ignoring", number),
            beside=frozenset(str(name) for name in _texts(table.get("beside", ()))),
            senders=senders,
            bill_type=bill_type,
            other_sort=other_sort,
            issuer=table.get("issuer"),
            confidence=int(table.get("confidence", 97 if senders else 90)),
            doubt=table.get("doubt"),
            raw=bool(table.get("raw", bool(senders))),
            is_credit=kind_text == "CREDIT",
        )

    def _doubt(self, table: dict[str, Any], number: int) -> Doubt:
        if not {"why", "pattern"} <= set(table) <= {"why", "pattern", "unless", "kinds", "rules"}:
            line = self._line("doubt", number)
            raise RuleFileError(
                self.name, line, "a doubt has why and pattern, and maybe unless, kinds and rules"
            )
        return Doubt(
            why=str(table["why"]),
            pattern=self._pattern("doubt", table, "pattern", number),
            unless=self._maybe("doubt", table, "unless", number),
            only_kinds=frozenset(_texts(table.get("kinds", ()))),
            only_rules=frozenset(_texts(table.get("rules", ()))),
        )

    def _issuer(self, table: dict[str, Any], number: int) -> Issuer:
        line = self._line("issuer", number)
        allowed = {"name", "role", "type", "senders", "names", "sites", "everyday_word"}
        if unknown := set(table) - allowed:
            raise RuleFileError(self.name, line, f"an issuer has no field {min(unknown)!r}")
        role = str(table.get("role", "biller"))
        if role not in ROLES:
            raise RuleFileError(self.name, line, f"a role is one of {', '.join(sorted(ROLES))}")
        bill_type, other_sort = self._bill_type(table.get("type"), line)
        return Issuer(
            name=str(table["name"]),
            role=role,
            bill_type=bill_type,
            other_sort=other_sort,
            senders=tuple(str(code).upper() for code in table.get("senders", ())),
            names=tuple(str(name) for name in table.get("names", ())),
            sites=tuple(str(site).lower() for site in table.get("sites", ())),
            is_everyday_word=bool(table.get("everyday_word", False)),
        )

    def _cue(self, section: str, table: dict[str, Any], number: int) -> Cue:
        patterns = {
            key: self._pattern(section, table, key, number)
            for key in ("before", "after", "pattern")
            if key in table
        }
        return Cue(
            name=str(table["name"]),
            **patterns,
            confidence=int(table.get("confidence", 90)),
            only_kinds=frozenset(table.get("kinds", ())),
        )

    def _sample(self, table: dict[str, Any], line: int, rule: str | None) -> Sample:
        expected = {key: value for key, value in table.items() if key not in ("text", "sender")}
        return Sample(str(table["text"]), table.get("sender"), expected, self.name, line, rule)

    def _bill_type(self, name: object, line: int) -> tuple[AccountType | None, bool]:
        if name is None:
            return None, False
        if name == "OTHER":
            return None, True
        if name not in set(AccountType):
            raise RuleFileError(self.name, line, f"there is no account type {name!r}")
        return AccountType(str(name)), False

    def _pattern(
        self,
        section: str,
        table: dict[str, Any],
        key: str,
        number: int,
        *,
        ignore_case: bool = True,
    ) -> Pattern:
        try:
            return compile_pattern("|".join(_texts(table[key])), ignore_case=ignore_case)
        except PatternError as error:
            raise RuleFileError(self.name, self._line(section, number, key), str(error)) from error

    def _maybe(self, section: str, table: dict[str, Any], key: str, number: int) -> Pattern | None:
        return self._pattern(section, table, key, number) if key in table else None

    def _line(self, section: str, number: int, key: str | None = None) -> int:
        """Find the line of the n-th table of a section, or of one of its keys. Units: from 1."""
        seen = -1
        for index, text in enumerate(self._lines, start=1):
            if text.strip() == f"[[{section}]]":
                seen += 1
                if seen == number and key is None:
                    return index
            elif seen == number and key and re.match(rf"\s*{key}\s*=", text):
                return index
        return 1

    def _line_of(self, word: str) -> int:
        return next((index for index, text in enumerate(self._lines, 1) if word in text), 1)


def _texts(value: object) -> Sequence[Any]:
    return [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
