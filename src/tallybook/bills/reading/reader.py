"""The reader: from a message's text to a bill's fields, each with its place and its confidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from tallybook.bills.model import AccountType, Kind
from tallybook.bills.reading.fields import Draft, FieldCues, fill
from tallybook.bills.reading.lexicon import Lexicon, Named, choose_issuer
from tallybook.bills.reading.model import Reading, Verdict
from tallybook.bills.reading.patterns import Match, PatternSet
from tallybook.bills.reading.rulebook import (
    SHIPPED,
    Issuer,
    Rule,
    Rulebook,
    RuleFileError,
    read_rule_files,
)
from tallybook.bills.reading.text import BYTES_MOST, CleanText, clean, is_personal, sender_code
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.money import format_amount


@frozen
class Tried:
    """What one rule made of a text, for people who write rules."""

    rule: str
    kind: str
    matched: bool
    chosen: bool
    captured: Mapping[str, str]


class Reader:
    """Reads messages by a rulebook. It has no state, so that threads may share one."""

    def __init__(self, book: Rulebook) -> None:
        self.book = book
        self.lexicon = Lexicon(book.issuers)
        self.cues = FieldCues(book)
        self._anywhere = _Finder(book.anywhere)
        self._of_sender = {sender: _Finder(rules) for sender, rules in book.by_sender.items()}
        self._paying = {
            rule.order: replace(rule, verdict=Verdict.BILL, kind=Kind.TXN_CONFIRMATION)
            for rule in book.rules
            if rule.verdict is Verdict.MOVEMENT
        }
        """Rules for debits, as what they are where a biller got the money."""
        self._neutral = PatternSet(book.neutral)
        self._doubts = PatternSet([doubt.pattern for doubt in book.doubts])

    def read(
        self, body: str, sender: str | None, day: date, *, day_is_sent: bool = False
    ) -> Reading:
        """Read one message that was seen on a day; never raises, whatever the text is.

        `day_is_sent`: the day is when the message was sent, so that a date years away from it is
        doubtful; an inbox imported years later has old dates for a good reason.
        """
        code = sender_code(sender)
        if len(body) > BYTES_MOST or len((text := clean(body)).content) > BYTES_MOST:
            return self._too_long(clean(body[:BYTES_MOST]), code)
        masked = self._mask(text.content)
        for rule in self._candidates(text.content, masked, code):
            match = _match(rule, text.content, masked)
            if match is not None:
                break
        else:
            return Reading(Verdict.UNKNOWN)
        if rule.verdict in (Verdict.NOISE, Verdict.OTP, Verdict.PHISHING):
            doubts = ("it looks like a trap",) if rule.verdict is Verdict.PHISHING else ()
            return Reading(rule.verdict, rule=rule.name, doubts=doubts)
        named = self.lexicon.named(text.content)
        spoken_by = self.lexicon.by_sender(code)
        if rule.verdict is Verdict.MOVEMENT and not rule.is_credit and any(
            _is_paid(mention, text.content) for mention in named if mention.issuer is not spoken_by
        ):  # fmt: skip
            rule = self._paying[rule.order]
        is_report = rule.kind is Kind.TXN_CONFIRMATION
        issuer, mention = choose_issuer(spoken_by, named, is_payment_report=is_report)
        kind = _who_reports(rule.kind, spoken_by, issuer)
        draft = Draft(
            self.cues, rule, kind, match, text, masked, day, day_is_sent, code, issuer, mention,
            self.lexicon.by_site(text.content) if issuer is None else None,
        )  # fmt: skip
        reading = fill(draft)
        if rule.verdict is not Verdict.BILL:
            return reading
        if doubts := self._doubts_of(rule, kind, masked):
            reading = replace(reading, doubts=(*reading.doubts, *doubts))
        return self._suspect(reading, text) if is_personal(sender) else reading

    def explain(self, body: str, sender: str | None) -> list[Tried]:
        """Tell what each rule made of a text, in the order in which they are tried."""
        text = clean(body[:BYTES_MOST])
        masked = self._mask(text.content)
        code = sender_code(sender)
        candidates = {rule.order for rule in self._candidates(text.content, masked, code)}
        tried: list[Tried] = []
        is_chosen = False
        for rule in self.book.rules:
            if rule.senders and code not in rule.senders:
                continue
            match = _match(rule, text.content, masked) if rule.order in candidates else None
            captured = {} if match is None else {
                name: match.text(number)
                for name, number in rule.pattern.groups
                if match.has(number)
            }  # fmt: skip
            chosen = match is not None and not is_chosen
            is_chosen = is_chosen or chosen
            tried.append(
                Tried(
                    rule.name, str(rule.kind or rule.verdict), match is not None, chosen, captured
                )
            )
        return tried

    def _candidates(self, content: bytes, masked: bytes, code: str | None) -> list[Rule]:
        """Find the rules that may fit, in order: the sender's own, then those that match.

        One pass over the text tells which of all patterns match, however many there are.
        """
        found = self._anywhere.found(content, masked)
        own = None if code is None else self._of_sender.get(code)
        if own is not None:
            found += own.found(content, masked)
        found.sort()
        return [self.book.rules[order] for order in found]

    def _too_long(self, text: CleanText, code: str | None) -> Reading:
        """Drop a one-time password from a text that is not read otherwise: its start is kept."""
        masked = self._mask(text.content)
        for rule in self._candidates(text.content, masked, code):
            if rule.verdict is Verdict.OTP and _match(rule, text.content, masked) is not None:
                return Reading(Verdict.OTP, rule=rule.name)
        return Reading(Verdict.UNKNOWN, doubts=("the text is longer than any bill",))

    def _doubts_of(self, rule: Rule, kind: Kind | None, masked: bytes) -> list[str]:
        """Say what stands against a reading in the words of its text, whichever rule made it."""
        found = self._doubts.found(masked)
        if not found:
            return []
        doubts = [self.book.doubts[index] for index in sorted(found)]
        return [
            doubt.why
            for doubt in doubts
            if (not doubt.only_kinds or kind in doubt.only_kinds)
            and (not doubt.only_rules or rule.name in doubt.only_rules)
            and (doubt.unless is None or not doubt.unless.matches(masked))
        ]

    def _mask(self, content: bytes) -> bytes:
        """Blank out set phrases that mean nothing, such as "ignore if already paid"."""
        if b"." in content:
            content = _INNER_DOT.sub(b",", content)
        for index in self._neutral.matching(content):
            content = self.book.neutral[index].blank_out(content)
        return content

    def _suspect(self, reading: Reading, text: CleanText) -> Reading:
        """Hold back a demand with a strange link from someone without a registered header."""
        demands = reading.kind in (Kind.GENERATION, Kind.IMMEDIATE, Kind.DUE_TODAY)
        if not demands or not self.lexicon.has_strange_link(text.content):
            return reading
        if _THREAT.search(text.content):
            return Reading(
                Verdict.PHISHING,
                rule=reading.rule,
                doubts=("a threat with a link to a site that no known biller has",),
            )
        doubt = "a link to a site that no known biller has, from an unknown sender"
        return replace(reading, doubts=(*reading.doubts, doubt))


_INNER_DOT = re.compile(rb"(?i)\.(?:(?<=\brs\.)|(?<=\bno\.)|(?<=[0-9]\.)(?=[0-9]))")
"""A dot that ends no sentence: rules may then say `[^.]*` and mean one.

The dot stands first, so that the search runs from dot to dot.
"""


class _Finder:
    """Rules found in one pass over the text that they see, masked or not."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        raw = [rule for rule in rules if rule.raw]
        masked = [rule for rule in rules if not rule.raw]
        self._raw = [rule.order for rule in raw]
        self._masked = [rule.order for rule in masked]
        self._raw_set = PatternSet([rule.pattern for rule in raw])
        self._masked_set = PatternSet([rule.pattern for rule in masked])

    def found(self, content: bytes, masked: bytes) -> list[int]:
        """Tell the places of those that are found in the one order of all rules, unsorted."""
        found = [self._raw[index] for index in self._raw_set.found(content)]
        found += [self._masked[index] for index in self._masked_set.found(masked)]
        return found


def _who_reports(kind: Kind | None, spoken_by: Issuer | None, issuer: Issuer | None) -> Kind | None:
    """Tell who reports a payment: the biller confirms it, a bank or wallet says that it went out.

    The words are often the same; who speaks decides. Source: B2.
    """
    if spoken_by is None or kind not in (Kind.CONFIRMATION, Kind.TXN_CONFIRMATION):
        return kind
    if spoken_by.role == "wallet" or (spoken_by.role == "bank" and issuer is not spoken_by):
        return Kind.TXN_CONFIRMATION
    if spoken_by.role == "biller" and issuer is spoken_by:
        return Kind.CONFIRMATION
    return kind


_ONLY_FOR_BILLS = frozenset(
    {
        AccountType.ELECTRIC_BILL,
        AccountType.GAS_BILL,
        AccountType.LOAN,
        AccountType.CREDITCARD,
    }
)
"""Who has issuers of these types paid, pays a bill. A mobile operator also sells top-ups."""
_TO = re.compile(rb"(?i)(?:\b(?:to|towards|for|info|favou?r(?:ing)? of)\b[ :]*|[/;*:-] ?)\Z")
_GETS = re.compile(rb"(?i)[ a-z.]{0,12}\bcredited\b")


def _is_paid(mention: Named, content: bytes) -> bool:
    """Tell whether a bank's report of a debit names a biller as the one who got the money."""
    issuer = mention.issuer
    if issuer.role != "biller" or issuer.bill_type not in _ONLY_FOR_BILLS:
        return False
    return bool(_TO.search(content, 0, mention.start) or _GETS.match(content, mention.end))


_THREAT = re.compile(
    rb"(?i)\b(?:immediate(?:ly)?|disconnect|suspend|block|tonight|within [0-9]+ ?h|urgent|kyc"
    rb"|final (?:notice|warning)|legal|last chance|verify|blacklist|arrest|police)"
)


def _match(rule: Rule, content: bytes, masked: bytes) -> Match | None:
    seen = content if rule.raw else masked
    if rule.ignoring is not None:
        seen = rule.ignoring.blank_out(seen)
    match = rule.pattern.search(seen)
    if match is None or (rule.unless is not None and rule.unless.matches(seen)):
        return None
    return match if rule.also is None or rule.also.matches(seen) else None


# -- rules from files --------------------------------------------------------------------------


def load_reader(extra: Iterable[Path] = (), *, prove_samples: bool = True) -> Reader:
    """Load the shipped rules, and a user's own before them. Source: B1.

    Raises: RuleFileError, with the line, for a file that can't be used or a sample that is read
    otherwise than it says.
    """
    reader = Reader(read_rule_files([*extra, *sorted(SHIPPED.glob("*.toml"))]))
    if prove_samples:
        prove(reader)
    return reader


@cache
def shipped_reader() -> Reader:
    """Load the shipped rules once a process."""
    return load_reader()


_SAMPLE_DAY = date(2026, 6, 15)


def prove(reader: Reader) -> None:
    """Run every sample. Raises: RuleFileError at the first that is read otherwise than it says."""
    for sample in reader.book.samples:
        reading = reader.read(sample.text, sample.sender, _SAMPLE_DAY)
        wrong = _difference(reading, sample.expected)
        if sample.rule is not None and reading.rule != sample.rule:
            wrong = f"rule {reading.rule!r} read it instead of {sample.rule!r}"
        if wrong:
            raise RuleFileError(sample.file, sample.line, f"{wrong}: {sample.text}")


def _difference(reading: Reading, expected: Mapping[str, object]) -> str:
    """Say how a reading differs from what a sample expects; fields not named may be anything."""
    shown = show_reading(reading)
    for name, value in expected.items():
        wanted = value.isoformat() if isinstance(value, date) else value
        if name not in shown:
            return f"a sample can't expect {name!r}"
        if shown[name] != wanted:
            return f"{name} is {shown[name]!r}, not {wanted!r}"
    return ""


def show_reading(reading: Reading) -> dict[str, object]:
    """Write a reading in the words of rule files and of the wire."""

    def money(minor: int | None) -> str | None:
        return None if minor is None else format_amount(minor, reading.currency or "INR")

    def day(value: date | None) -> str | None:
        return value.isoformat() if value else None

    return {
        "verdict": str(reading.verdict),
        "bill_type": reading.bill_type and str(reading.bill_type),
        "kind": reading.kind and str(reading.kind),
        "amount": money(reading.amount_minor),
        "minimum_due": money(reading.minimum_minor),
        "currency": reading.currency,
        "due_on": day(reading.due_on),
        "bill_date": day(reading.bill_on),
        "paid_on": day(reading.paid_on),
        "account_number": reading.account_number,
        "issuer": reading.issuer,
        "reference": reading.reference,
        "paid_from": reading.paid_from,
        "confidence": reading.confidence,
        "accepted": reading.is_accepted,
        "credit": reading.is_credit,
    }
