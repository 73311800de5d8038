"""The fields of a bill, once a rule has told what the message is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from tallybook.bills.model import AccountType, Kind
from tallybook.bills.reading.formats import (
    currency_of,
    has_year,
    may_be_month_first,
    read_amount,
    read_date,
)
from tallybook.bills.reading.lexicon import Named
from tallybook.bills.reading.margins import CREDIT, TORN, oddity
from tallybook.bills.reading.mentions import PLAIN, Cues, Mention, date_mentions, money_mentions
from tallybook.bills.reading.model import BAR, Reading, Span, Verdict
from tallybook.bills.reading.patterns import Match, PatternSet
from tallybook.bills.reading.rulebook import Issuer, Rule, Rulebook
from tallybook.bills.reading.text import CleanText
from tallybook.kernel.frozen import frozen

DEMANDS = frozenset({Kind.GENERATION, Kind.IMMEDIATE, Kind.DUE_TODAY})
PAYMENTS = frozenset({Kind.CONFIRMATION, Kind.TXN_CONFIRMATION})
_AHEAD_DAYS = 400
_BACK_DAYS = 800
"""Due dates further away are typing errors. Back only where the sending time is known."""


class FieldCues:
    """The cues of a rulebook, made ready once."""

    def __init__(self, book: Rulebook) -> None:
        self.currency = book.currency
        self.money = Cues(book.money_cues)
        self.dates = Cues(book.date_cues)
        self.types = book.type_cues
        self.type_set = PatternSet([pattern for pattern, _ in book.type_cues])
        fields = [(cue, cue.pattern) for cue in book.field_cues if cue.pattern is not None]
        self.numbers = [(cue, pattern) for cue, pattern in fields if cue.name not in _RELATIVE]
        self.number_set = PatternSet([pattern for _, pattern in self.numbers])
        self.relative = [(cue, pattern) for cue, pattern in fields if cue.name in _RELATIVE]
        self.relative_set = PatternSet([pattern for _, pattern in self.relative])
        self.names = book.name_cues
        self.name_set = PatternSet(book.name_cues, ignore_case=False)
        self.not_names = book.not_names


@frozen
class Draft:
    """Everything that is known when the fields are filled in."""

    cues: FieldCues
    rule: Rule
    kind: Kind | None
    match: Match
    text: CleanText
    masked: bytes
    day: date
    day_is_sent: bool
    code: str | None
    issuer: Issuer | None
    mention: Named | None
    site_of: Issuer | None = None
    """Whose site the text links to, where nobody is named."""


def fill(draft: Draft) -> Reading:
    """Read every field that the message has, with its evidence and with what stands against it."""
    return _Filling(draft).reading()


class _Filling:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.rule = draft.rule
        self.kind = draft.kind
        self.spans: dict[str, Span] = {}
        self.doubts: list[str] = [draft.rule.doubt] if draft.rule.doubt else []
        self.captured = {
            name: (draft.match.text(number), *draft.match.span(number))
            for name, number in draft.rule.pattern.groups
            if draft.match.has(number)
        }
        self.content = draft.text.content
        self._numbers_found = draft.cues.number_set.matching(self.content)
        self._mentions: list[Mention[int]] = []
        self.is_payment = self.kind in PAYMENTS or draft.rule.verdict is Verdict.MOVEMENT

    def reading(self) -> Reading:
        self._note("kind", str(self.kind), *self.draft.match.span(), self.rule.confidence)
        bill_type, is_other = self._type()
        issuer = self._issuer()
        amount, currency = self._amount(bill_type)
        minimum = self._minimum(currency)
        dates = self._dates(currency)
        number = self._account_number(bill_type)
        reference = self._field("reference")
        paid_from = self._field("paid_from") if self.is_payment else None
        if self.rule.verdict is Verdict.BILL:
            self._doubt_what_can_not_be(bill_type, amount, minimum, dates, is_other=is_other)
            self._doubt_what_stands_alone(amount)
        return Reading(
            self.rule.verdict,
            rule=self.rule.name,
            kind=self.kind,
            bill_type=bill_type,
            issuer=issuer,
            account_number=number,
            amount_minor=amount,
            minimum_minor=minimum,
            currency=currency if amount is not None or minimum is not None else None,
            bill_on=dates.get("bill_date"),
            due_on=dates.get("due_on"),
            paid_on=dates.get("paid_on"),
            reference=reference,
            paid_from=paid_from,
            is_credit=self.rule.is_credit,
            spans=self.spans,
            doubts=tuple(self.doubts),
        )

    # -- type and issuer

    def _type(self) -> tuple[AccountType | None, bool]:
        """Tell the type of the bill, and whether it is of a sort that has none."""
        rule, issuer = self.rule, self.draft.issuer
        if rule.bill_type is not None or rule.other_sort:
            self._note("bill_type", str(rule.bill_type), *self.draft.match.span(), 95)
            return rule.bill_type, rule.other_sort
        if issuer is not None and (issuer.bill_type is not None or issuer.other_sort):
            start, end = (self.draft.mention.start, self.draft.mention.end) if (
                self.draft.mention
            ) else (0, 0)  # fmt: skip
            self._note("bill_type", str(issuer.bill_type), start, end, 95)
            return issuer.bill_type, issuer.other_sort
        index = self.draft.cues.type_set.first(self.content)
        if index is not None:
            pattern, bill_type = self.draft.cues.types[index]
            match = pattern.search(self.content)
            assert match is not None, pattern.source
            self._note("bill_type", str(bill_type), *match.span(), 85)
            return bill_type, bill_type is None
        return None, False

    def _issuer(self) -> str | None:
        if self.rule.issuer is not None:
            return self.rule.issuer
        issuer, mention = self.draft.issuer, self.draft.mention
        if issuer is None:
            issuer = self.draft.site_of
        if issuer is not None:
            if mention is not None:
                self._note("issuer", issuer.name, mention.start, mention.end, 90)
            return issuer.name
        if "issuer" in self.captured:
            return self.captured["issuer"][0]
        for index in self.draft.cues.name_set.matching(self.content):
            match = self.draft.cues.names[index].search(self.content)
            if match is not None:
                name = match.text(1).strip(" .-")
                if name.lower() in self.draft.cues.not_names:
                    continue
                self._note("issuer", name, *match.span(1), 60)
                return name
        return self.draft.code if self.rule.verdict is Verdict.BILL else None

    # -- amounts

    def _amount(self, bill_type: AccountType | None) -> tuple[int | None, str]:
        default = self.draft.cues.currency
        if "amount" in self.captured:
            written, start, end = self.captured["amount"]
            before = self.content[max(0, start - 12) : start].decode(errors="replace")
            currency = currency_of(before.split(" ")[-1] or before, default)
            self._note("amount", written, start, end, self.rule.confidence)
            return self._captured_minor("amount", currency), currency
        mentions = money_mentions(
            self.content, self.draft.cues.money, default, is_owed=not self.is_payment
        )
        self._mentions = mentions
        ranks = _PAID_RANKS if self.is_payment else _DUE_RANKS
        if bill_type is AccountType.LOAN and not self.is_payment:
            ranks = _LOAN_RANKS
        for rank in ranks:
            found = [mention for mention in mentions if mention.role == rank]
            if found:
                return self._agreed(found, mentions)
        return None, mentions[0].currency if mentions else default

    def _captured_minor(self, name: str, currency: str) -> int | None:
        """Read an amount that the rule itself found, with what touches it there."""
        written, start, end = self.captured[name]
        why = oddity(self.content, start, end, is_owed=not self.is_payment)
        minor = None if why else read_amount(written, currency)
        if minor is None:
            self._doubt_amount(why)
        return minor

    def _doubt_amount(self, why: str) -> None:
        """Doubt an amount without a value; a credit where nothing is asked for is plain enough."""
        if why != CREDIT or self.kind is not Kind.INFORMATION:
            self.doubts.append(why or TORN)

    def _agreed(
        self, found: Sequence[Mention[int]], mentions: Sequence[Mention[int]]
    ) -> tuple[int | None, str]:
        first = found[0]
        values = {mention.value for mention in found}
        if None in values:
            self._doubt_amount(next(mention.why for mention in found if mention.value is None))
        elif len(values) > 1:
            self.doubts.append("two amounts, and nothing says which one is meant")
        elif len(mentions) > len(found):
            rivals = self._rivals(first.role)
            if self.is_payment and first.role != "paid":
                rivals |= {"previous"}  # it may be the earlier bill's payment that is told
            if any(other.value != first.value and other.role in rivals for other in mentions):
                # Another amount that nothing explains away may be the one that counts.
                self.doubts.append("another amount may be the one that is meant")
        self._note("amount", first.written, first.start, first.end, first.confidence)
        return first.value, first.currency

    def _rivals(self, role: str) -> frozenset[str]:
        if self.is_payment and role != "total":
            # What is still owed after a payment is another matter than what was paid.
            return _ALL_RIVALS - {"total"}
        return _RIVALS.get(role, _ALL_RIVALS)

    def _minimum(self, currency: str) -> int | None:
        if "minimum_due" in self.captured:
            written, start, end = self.captured["minimum_due"]
            self._note("minimum_due", written, start, end, self.rule.confidence)
            return self._captured_minor("minimum_due", currency)
        for mention in self._mentions:
            if mention.role == "minimum":
                self._note(
                    "minimum_due", mention.written, mention.start, mention.end, mention.confidence
                )
                return mention.value
        return None

    # -- dates

    def _dates(self, currency: str) -> dict[str, date]:
        dates: dict[str, date] = {}
        mentions = date_mentions(self.content, self.draft.cues.dates, self.draft.day)
        for name in ("due_on", "bill_date", "paid_on"):
            if name in self.captured:
                written, start, end = self.captured[name]
                mention = Mention(
                    read_date(written, self.draft.day), written, start, end, name,
                    self.rule.confidence,
                )  # fmt: skip
                self._take_date(dates, name, [mention])
                mentions = [other for other in mentions if other.start != start]
        wanted = {"paid_on": "paid_on"} if self.is_payment else {
            "due_on": "due_on", "bill_date": "bill_date"
        }  # fmt: skip
        for name, role in wanted.items():
            found = [mention for mention in mentions if mention.role == role]
            if found and name not in dates:
                self._take_date(dates, name, found)
        if self.is_payment and "paid_on" not in dates:
            plain = [mention for mention in mentions if mention.role == PLAIN]
            if len(plain) == 1:
                self._take_date(dates, "paid_on", plain)
        if self.kind in (Kind.GENERATION, Kind.DUE_TODAY) and "due_on" not in dates:
            # "Pay today" in a message about an overdue bill is no due date.
            self._relative_due(dates)
        if currency in _MONTH_FIRST and any(
            may_be_month_first(self.spans[name].text) for name in dates if name in self.spans
        ):
            self.doubts.append("a date whose day and month may stand either way round")
        return dates

    def _take_date(self, dates: dict[str, date], name: str, found: Sequence[Mention[date]]) -> None:
        first = found[0]
        if len({mention.value for mention in found}) > 1:
            self.doubts.append("two dates, and nothing says which one is meant")
        if first.value is None:
            # Without its year it may be fine and only too far away to tell; with it, it is not.
            if has_year(first.written):
                self.doubts.append("a date that is not in the calendar")
            return
        confidence = first.confidence if has_year(first.written) else 80
        self._note(name, first.written, first.start, first.end, confidence)
        dates[name] = first.value

    def _relative_due(self, dates: dict[str, date]) -> None:
        for index in self.draft.cues.relative_set.matching(self.draft.masked):
            cue, pattern = self.draft.cues.relative[index]
            match = pattern.search(self.draft.masked)
            if match is not None:
                days = _RELATIVE[cue.name]
                if days is None:
                    days = int(match.text(1))
                self._note("due_on", match.text(), *match.span(), cue.confidence)
                dates["due_on"] = self.draft.day + timedelta(days=days)
                return

    # -- the rest

    def _account_number(self, bill_type: AccountType | None) -> str | None:
        found = self._field("account_number", bill_type)
        return found.rstrip("-/.*") if found else None

    def _field(self, name: str, bill_type: AccountType | None = None) -> str | None:
        if name in self.captured:
            written, start, end = self.captured[name]
            self._note(name, written, start, end, self.rule.confidence)
            return written
        for index in self._numbers_found:
            cue, pattern = self.draft.cues.numbers[index]
            if cue.name != name:
                continue
            if cue.only_kinds and self.kind not in cue.only_kinds and (
                bill_type not in cue.only_kinds
            ):  # fmt: skip
                continue
            match = pattern.search(self.content)
            if match is not None:
                self._note(name, match.text(1), *match.span(1), cue.confidence)
                return match.text(1)
        return None

    def _doubt_what_can_not_be(
        self,
        bill_type: AccountType | None,
        amount: int | None,
        minimum: int | None,
        dates: dict[str, date],
        *,
        is_other: bool,
    ) -> None:
        if self.kind in PAYMENTS and amount is None:
            self.doubts.append("a payment without an amount")
        if self.kind in PAYMENTS and amount == 0:
            self.doubts.append("a payment of nothing")
        if bill_type is None and not is_other and self.kind in (*DEMANDS, Kind.CONFIRMATION):
            self.doubts.append("nothing says what sort of bill it is")
        if amount is not None and minimum is not None and minimum > amount:
            self.doubts.append("the minimum is more than the total")
        paid = dates.get("paid_on")
        if self.draft.day_is_sent and paid and paid > self.draft.day + timedelta(days=1):
            self.doubts.append("the payment is dated after the message")
        due = dates.get("due_on")
        if due is None:
            return
        days_away = (due - self.draft.day).days
        if days_away > _AHEAD_DAYS or due.year < 2000:
            self.doubts.append("the due date is years away")
        elif self.draft.day_is_sent and days_away < -_BACK_DAYS:
            self.doubts.append("the due date is years before the message")
        bill_on = dates.get("bill_date")
        if bill_on is not None and due < bill_on:
            self.doubts.append("the bill is dated after it is due")

    def _doubt_what_stands_alone(self, amount: int | None) -> None:
        """Doubt what a rule holds for a bill only beside another field, and sums that nobody owes.

        A discount, a prize or a limit is no bill's amount: such a text may be an offer.
        """
        rule = self.rule
        if rule.beside and not any(name in self.spans for name in rule.beside):
            self.doubts.append("neither a date nor a number says which bill it is about")
        if self.kind not in DEMANDS or amount is not None or "account_number" in self.spans:
            return
        promised = {mention.role for mention in self._mentions} <= _PROMISED
        if self._mentions and promised and not _SAYS_DUE.search(self.draft.masked):
            self.doubts.append("its only amounts are an offer's")

    def _note(self, name: str, written: str, start: int, end: int, confidence: int) -> None:
        text = self.draft.text
        if not text.is_plain:
            start, end = text.place(start), text.place(end)
        self.spans[name] = Span(written, start, end, confidence, self.rule.name)


_DUE_RANKS = ("total", "bill", "paid", "emi", PLAIN, "part")
_LOAN_RANKS = ("emi", "total", "bill", "paid", PLAIN, "part")
_PAID_RANKS = ("paid", "emi", "bill", "total", PLAIN)
"""Which role counts first. "Payment of Rs 500 is due" has the words of a payment."""
_ALL_RIVALS = frozenset({"total", "bill", "emi", "paid", PLAIN})
_RIVALS = {"total": frozenset({PLAIN})}
"""A total is more than its parts; beside anything else, another amount is a doubt."""
_PROMISED = frozenset({"offer", "limit"})
_SAYS_DUE = re.compile(rb"(?i)\b(?:over)?due\b|\b(?:generated|unpaid|outstanding)\b")
_MONTH_FIRST = frozenset({"USD", "PHP"})
"""Where these are paid, many write the month before the day."""
_RELATIVE: dict[str, int | None] = {"due_today": 0, "due_tomorrow": 1, "due_in_days": None}
"""Days to add to the day of the message; None: as many as the text says."""
assert BAR <= 80, "a plain amount that stands alone is good enough"
