"""Which payments were made: what notices and banks tell of them put together. Source: B8, B9.

Which messages tell of one payment never depends on a person's links: a link says what a payment
pays, and it follows the payment, whichever of its rows it was once made on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from tallybook.bills.model import Fact, Kind, Link, MessageStatus, Transaction
from tallybook.bills.rules.currencies import Currencies, number_of
from tallybook.bills.rules.matching import Signal, find_duplicates, pair_signals
from tallybook.bills.rules.outcomes import Outcomes
from tallybook.bills.rules.placing import Place, visible_end
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import Ids


@dataclass(slots=True)
class Told:
    """One payment: the transaction it is, the notices that told of it, and where it goes."""

    transaction: Transaction
    notices: list[Fact] = field(default_factory=list)
    again: list[Fact] = field(default_factory=list)
    """Other wordings of its notices."""
    why: str = ""
    place: Place | None = None
    link: Link | None = None
    """The latest that a person said of it."""

    @property
    def is_barred(self) -> bool:
        """Tell whether a person said that it pays no bill."""
        return self.link is not None and self.link.bill_anchor is None


class Payments:
    """The payments and other movements of one customer."""

    def __init__(
        self,
        rows: Sequence[Transaction],
        links: Sequence[Link],
        currencies: Currencies,
        outcomes: Outcomes,
        ids: Ids,
    ) -> None:
        self.told: dict[str, Told] = {}
        self._rows = rows
        self._links = _latest_links(links)
        self._currencies = currencies
        self._outcomes = outcomes
        self._ids = ids
        self._own_rows = {row.message_id: row for row in rows if row.message_id is not None}
        self._rows_again: dict[str, list[str]] = {}
        """A movement's id to those of its other wordings."""
        self._again: dict[str, list[Fact]] = {}
        """A notice's message to its other wordings."""

    def tell(self, facts: Sequence[Fact], place_of: Mapping[str, Place]) -> None:
        """Find the transaction of each payment that is told of, or make one. Source: B8, B9."""
        paying = [fact for fact in facts if is_payment(fact)]
        given = self._movements([fact for fact in facts if fact.is_movement])
        pool = [row for row in given if row.amount_minor < 0]
        for kind in (Kind.TXN_CONFIRMATION, Kind.CONFIRMATION):
            notices = self._without_duplicates([fact for fact in paying if fact.kind is kind])
            paired: set[str] = set()
            for fact, told in self._pair(notices, pool):
                told.notices.insert(0, fact)
                paired.add(fact.message_id)
            pool += [
                self._own(fact, place_of.get(fact.message_id))
                for fact in notices
                if fact.message_id not in paired
            ]
        for told in self.told.values():
            self._place(told, place_of)

    def set_aside(self) -> list[Transaction]:
        """Set aside the rows that are no payment any more, when all outcomes are told.

        One that a message made is the payment's that the message is of now; where the message no
        longer tells of any, nothing stands behind the row.
        """
        aside: list[Transaction] = []
        for row in self._rows:
            if row.id in self.told:
                continue
            fact = self._outcomes.of.get(row.message_id or "")
            taken_by = fact.transaction_id if fact is not None else None
            why = "no message stands behind it any more"
            if fact is not None and taken_by is not None:
                is_again = fact.status is MessageStatus.DUPLICATE
                why = (
                    "another wording came before it" if is_again else "its movement is known by now"
                )
            clear = self._currencies.settle_row(_cleared(row), ())
            aside.append(replace(clear, duplicate_of=taken_by or row.id, evidence=why))
        return aside

    def tell_outcomes(self) -> None:
        """Tell what became of each notice, and of its other wordings."""
        for told in self.told.values():
            row = told.transaction
            for fact in told.notices:
                self._outcomes.tell(
                    fact, MessageStatus.APPLIED, account_id=row.account_id, bill_id=row.bill_id,
                    transaction_id=row.id, why=row.evidence or told.why,
                )  # fmt: skip
            for fact in told.again:
                self._outcomes.tell(
                    fact, MessageStatus.DUPLICATE, account_id=row.account_id, bill_id=row.bill_id,
                    transaction_id=row.id,
                    why="another wording of a payment told within ten minutes",
                )  # fmt: skip

    # -- movements and notices

    def _movements(self, facts: Sequence[Fact]) -> list[Transaction]:
        """Gather the movements that banks reported, by their feeds or by messages."""
        rows = [_cleared(row) for row in self._rows if row.message_id is None]
        for fact in facts:
            if fact.amount_minor:
                sign = 1 if fact.amount_minor > 0 else -1
                rows.append(self._row_for(fact, description="", sign=sign))
            row = self._own_rows.get(fact.message_id)
            self._outcomes.tell(
                fact, MessageStatus.INFORMATION, transaction_id=row.id if row else None,
                why="a movement of money, kept as a transaction",
            )  # fmt: skip
        duplicates = find_duplicates([self._signal_of_row(row) for row in rows])
        for row in rows:
            first = duplicates.get(row.id)
            if first is not None:
                self._rows_again.setdefault(first, []).append(row.id)
                row = replace(  # noqa: PLW2901 - as it is marked
                    row, duplicate_of=first,
                    evidence="the same account, amount and reference within ten minutes",
                )  # fmt: skip
            self.told[row.id] = Told(row)
        return [row for row in rows if row.id not in duplicates]

    def _own(self, fact: Fact, place: Place | None) -> Transaction:
        """Make the transaction of a payment that no movement is known of. Source: B8."""
        issuer = (place.shown_issuer if place else None) or fact.issuer
        row = self._row_for(fact, f"{issuer} Bill Payment" if issuer else "Bill Payment", sign=-1)
        self.told[row.id] = Told(row, [fact], why="no bank, card or wallet movement is known yet")
        return row

    def _row_for(self, fact: Fact, description: str, *, sign: int) -> Transaction:
        known = self._own_rows.get(fact.message_id)
        at, on_day = _moment_of(fact)
        row = Transaction(
            id=known.id if known else self._ids.fresh(),
            customer_id=fact.customer_id,
            message_id=fact.message_id,
            at=at,
            hash=fact.hash,
            on_day=on_day,
            amount_minor=sign * abs(fact.amount_minor or 0),
            currency=fact.currency or self._currencies.installation,
            is_currency_stated=fact.currency is not None,
            description=description,
            reference=fact.reference,
            number=fact.paid_from,
        )
        self._own_rows[fact.message_id] = row
        return row

    def _without_duplicates(self, facts: Sequence[Fact]) -> list[Fact]:
        found = find_duplicates([self._signal_of_fact(fact) for fact in facts])
        for fact in facts:
            if fact.message_id in found:
                self._again.setdefault(found[fact.message_id], []).append(fact)
        return [fact for fact in facts if fact.message_id not in found]

    def _pair(self, facts: Sequence[Fact], rows: Sequence[Transaction]) -> list[tuple[Fact, Told]]:
        by_id = {fact.message_id: fact for fact in facts}
        signals = [self._signal_of_row(row, self.told[row.id]) for row in rows]
        found: list[tuple[Fact, Told]] = []
        for pair in pair_signals([self._signal_of_fact(fact) for fact in facts], signals):
            told = self.told[pair.movement]
            told.why = pair.why
            found.append((by_id[pair.notice], told))
        return found

    # -- what each comes to

    def _place(self, told: Told, place_of: Mapping[str, Place]) -> None:
        """Find the account that a payment goes to, a person's word first, and its currency."""
        for fact in told.notices:
            told.again += self._again.get(fact.message_id, [])
        if told.transaction.amount_minor < 0:
            told.link = self._word_on(told)
            told.place = next(
                (place_of[fact.message_id] for fact in told.notices
                 if fact.message_id in place_of), None,
            )  # fmt: skip
            anchor = told.link.bill_anchor if told.link is not None else None
            if anchor is not None and anchor in place_of:
                told.place = place_of[anchor]
        wanted = [fact.currency for fact in told.notices if fact.currency]
        if told.place is not None:
            wanted.append(told.place.currency)
        told.transaction = self._currencies.settle_row(told.transaction, wanted)

    def _word_on(self, told: Told) -> Link | None:
        """Find the latest that a person said of a payment, on whichever of its rows. Source: B8."""
        rows = [told.transaction.id, *self._rows_again.get(told.transaction.id, ())]
        for fact in (*told.notices, *told.again):
            own = self._own_rows.get(fact.message_id)
            rows += [own.id] if own is not None else []
        links = [self._links[row] for row in rows if row in self._links]
        return max(links, key=_order_of_link, default=None)

    # -- signs of a payment

    def _signal_of_fact(self, fact: Fact) -> Signal:
        return Signal(
            id=fact.message_id,
            at=_moment_of(fact)[0],
            hash=fact.hash,
            amount=self._currencies.number_in(fact),
            currency=fact.currency,
            reference=fact.reference,
            numbers=_visible(fact.number, fact.paid_from),
            paid_from=next(iter(_visible(fact.paid_from)), None),
            issuer=fact.issuer if fact.kind is Kind.CONFIRMATION else None,
        )

    def _signal_of_row(self, row: Transaction, told: Told | None = None) -> Signal:
        notices = told.notices if told else []
        reference = row.reference or next(
            (fact.reference for fact in notices if fact.reference), None
        )
        return Signal(
            id=row.id,
            at=row.at,
            hash=row.hash,
            amount=number_of(abs(row.amount_minor), row.currency),
            is_in=row.amount_minor > 0,
            currency=row.currency if row.is_currency_stated else None,
            reference=reference,
            numbers=_visible(row.number, *(fact.number for fact in notices)),
            words=" ".join([row.description, *(fact.issuer or "" for fact in notices)]),
        )


def is_payment(fact: Fact) -> bool:
    """Tell whether a fact tells of a payment that can be booked: a bill of another sort can't."""
    if fact.is_movement or not fact.amount_minor:
        return False
    if fact.kind is Kind.TXN_CONFIRMATION:
        return True
    return fact.kind is Kind.CONFIRMATION and fact.bill_type is not None


def _visible(*numbers: str | None) -> tuple[str, ...]:
    return tuple(number for number in numbers if number and visible_end(number))


def _cleared(row: Transaction) -> Transaction:
    return replace(
        row, account_id=None, bill_id=None, bound="[]", bound_minor=0, prepaid_minor=0,
        duplicate_of=None, evidence="",
    )  # fmt: skip


def _order_of_link(link: Link) -> tuple[datetime, str]:
    return link.at, link.id


def _latest_links(links: Iterable[Link]) -> dict[str, Link]:
    latest: dict[str, Link] = {}
    for link in sorted(links, key=_order_of_link):
        latest[link.transaction_id] = link
    return latest


def _moment_of(fact: Fact) -> tuple[datetime, date]:
    """Tell when a payment happened: on the date it names, if that is not the day it was told."""
    if fact.paid_on is not None and fact.paid_on != fact.on_day:
        return datetime.combine(fact.paid_on, time(12), UTC), fact.paid_on
    return fact.at, fact.on_day
