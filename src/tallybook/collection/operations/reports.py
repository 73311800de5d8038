"""Reports taken in: stored raw first, then their rows as facts, then judged. Source: P4."""

from __future__ import annotations

from dataclasses import field
from datetime import date

from tallybook.collection.operations.moving import close_item
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import (
    Fact,
    ItemKind,
    OperatorItem,
    Report,
    ReportState,
    TransferKind,
    TransferState,
)
from tallybook.processor.rules import has_left, join_facts, judge_report, must_repeat
from tallybook.processor.store import (
    FACTS,
    FACTS_OF,
    ITEMS,
    OPEN_ITEMS_ABOUT,
    REPORT_BY_CONTENT,
    REPORTS,
    TRANSFER_BY_TRANSACTION,
    TRANSFERS,
)
from tallybook.writer.model import Decision, Event, Moment, Needs, View


@frozen
class TakeReport:
    """A report as it came, sealed."""

    report_on: date
    sha256: str
    raw_sealed: bytes = field(repr=False)


class TakeReportOperation:
    """Stores a report before anything is made of it. Its value is the stored report."""

    name = "collection.take_report"

    def needs(self, command: TakeReport, seen: View) -> Needs:
        """Look whether the same report of that day is stored."""
        del seen
        return Needs(look_up=((REPORT_BY_CONTENT, (command.report_on, command.sha256)),))

    def decide(
        self, view: View, command: TakeReport, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Store it, once."""
        known = view.one(REPORT_BY_CONTENT, (command.report_on, command.sha256))
        if known is not None:
            return Decision(value=known)
        report = Report(
            id=ids.fresh(),
            report_on=command.report_on,
            taken_at=moment.now,
            sha256=command.sha256,
            raw_sealed=command.raw_sealed,
            state=ReportState.TAKEN,
            rows_count=0,
            new_count=0,
            missing_count=0,
            is_rich=False,
            problems="[]",
        )
        event = Event(
            "processor.report.taken",
            report.id,
            {"report_on": report.report_on, "sha256": report.sha256},
        )
        return Decision(added=((REPORTS, report),), events=(event,), value=report)


@frozen
class AddFacts:
    """Rows of a report, distinct, as facts that are not applied yet."""

    report_id: str
    report_on: date
    facts: tuple[Fact, ...]
    again: tuple[Fact, ...] = ()
    """Those that another piece of this report named as well, with a later date."""
    unchanged: tuple[date, date] | None = None
    """Since when this very file has come, and till when, where it came before."""


@frozen
class FactsAdded:
    """What a piece of a report told."""

    new_count: int
    repeated_count: int
    """Facts that this report had to repeat, and does."""
    left_count: int
    """Facts that it can't show any more, and does, as on the days before."""


class AddFactsOperation:
    """Keeps each fact once, with the earliest date it was seen and all that was said of it.

    Its value is a FactsAdded.
    """

    name = "collection.add_facts"

    def needs(self, command: AddFacts, seen: View) -> Needs:
        """Look up what is known of the transactions; facts are only ever added to."""
        del seen
        idents = {fact.transaction_id for fact in (*command.facts, *command.again)}
        return Needs(look_up=[(FACTS_OF, ident) for ident in idents])

    def decide(self, view: View, command: AddFacts, moment: Moment, ids: Ids) -> Decision | Refusal:
        """Add what is new; what a report dates back or says otherwise is opened again (T4)."""
        del moment, ids
        added: list[Fact] = []
        changed: list[Fact] = []
        repeated = left = 0
        for place, fact in enumerate((*command.facts, *command.again)):
            known = next(
                (
                    each
                    for each in view.rows(FACTS_OF, fact.transaction_id)
                    if each.result is fact.result
                ),
                None,
            )
            if known is None:
                added.append(fact)
                continue
            if place < len(command.facts):
                repeated += must_repeat(known, command.report_on)
            if (joined := join_facts(known, fact)) != known:
                changed.append(joined)
            if command.unchanged is not None:
                left += has_left(joined, *command.unchanged)
        value = FactsAdded(len(added), repeated, left)
        if not added and not changed:
            return Decision(value=value)
        event = Event(
            "processor.report.read",
            command.report_id,
            {"new": len(added), "earlier": len(changed)},
        )
        return Decision(
            changed=[(FACTS, fact) for fact in changed],
            added=[(FACTS, fact) for fact in added],
            events=(event,),
            value=value,
        )


@frozen
class JudgeReport:
    """What the whole of a report came to."""

    report_id: str
    ended: bool
    rows_count: int
    new_count: int
    missing_count: int
    is_rich: bool
    problems: str


class JudgeReportOperation:
    """Says whether a report proves anything by what it leaves out; its value is the report."""

    name = "collection.judge_report"

    def needs(self, command: JudgeReport, seen: View) -> Needs:
        """Lock the report, and the item that complains of missing ones."""
        del seen
        return Needs(
            lock=((REPORTS, command.report_id),), read=((OPEN_ITEMS_ABOUT, REPORTS_ABOUT),)
        )

    def decide(
        self, view: View, command: JudgeReport, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Judge it, and answer the complaint if a complete one has come."""
        del ids
        report = view.row(REPORTS, command.report_id)
        assert report is not None
        state = judge_report(ended=command.ended, missing_count=command.missing_count)
        judged = replace(
            report,
            state=state,
            rows_count=command.rows_count,
            new_count=command.new_count,
            missing_count=command.missing_count,
            is_rich=command.is_rich,
            problems=command.problems,
        )
        answered = (
            view.rows(OPEN_ITEMS_ABOUT, REPORTS_ABOUT) if state is ReportState.COMPLETE else []
        )
        event = Event(
            f"processor.report.{state.value}",
            report.id,
            {"report_on": report.report_on, "rows": command.rows_count, "new": command.new_count},
        )
        return Decision(
            changed=(
                (REPORTS, judged),
                *((ITEMS, close_item(item, "answered_by_news", moment)) for item in answered),
            ),
            events=(event,),
            value=judged,
        )


REPORTS_ABOUT = "processor reports"
"""What the item is about that complains of missing reports."""


@frozen
class OpenItem:
    """Something that a run found and no rule may settle."""

    kind: ItemKind
    about: str
    detail: str
    transfer_id: str | None = None
    subject_id: str | None = None
    customer_id: str | None = None
    transfer_kind: TransferKind | None = None


_IS_IN_GAP = (TransferState.ACCEPTED, TransferState.TIMED_OUT)
"""What became of any other is known: an item about it would stay open for good."""


class OpenItemOperation:
    """Opens an operator item, unless one of its kind is open or the matter is settled."""

    name = "collection.open_item"

    def needs(self, command: OpenItem, seen: View) -> Needs:
        """Read what is open about the same thing; lock a transfer that may be settled meanwhile."""
        del seen
        lock = [(TRANSFERS, command.about)] if command.kind is ItemKind.GAP else []
        read = [(OPEN_ITEMS_ABOUT, command.about)]
        look_up = (
            [(TRANSFER_BY_TRANSACTION, command.about)] if command.kind is ItemKind.ORPHAN else []
        )
        return Needs(lock=lock, read=read, look_up=look_up)

    def decide(self, view: View, command: OpenItem, moment: Moment, ids: Ids) -> Decision | Refusal:
        """Open it once."""
        if any(item.kind is command.kind for item in view.rows(OPEN_ITEMS_ABOUT, command.about)):
            return Decision(value=False)
        if command.kind is ItemKind.ORPHAN and view.rows(TRANSFER_BY_TRANSACTION, command.about):
            return Decision(value=False)
        if command.kind is ItemKind.GAP:
            transfer = view.row(TRANSFERS, command.about)
            if transfer is None or transfer.state not in _IS_IN_GAP:
                return Decision(value=False)
        item = OperatorItem(
            id=ids.fresh(),
            kind=command.kind,
            about=command.about,
            transfer_id=command.transfer_id,
            subject_id=command.subject_id,
            customer_id=command.customer_id,
            transfer_kind=command.transfer_kind,
            amount_minor=None,
            currency=None,
            detail=command.detail,
            is_open=True,
            opened_on=moment.today,
            opened_at=moment.now,
            action=None,
            reason=None,
            resolved_by=None,
            resolved_at=None,
        )
        event = Event("processor.item.opened", item.id, {"kind": item.kind.value}, item.customer_id)
        return Decision(added=((ITEMS, item),), events=(event,), value=True)


@frozen
class CloseItem:
    """That nobody has to look at an operator item any more."""

    item_id: str


class CloseItemOperation:
    """Closes an operator item that has been answered otherwise, unless a person was quicker."""

    name = "collection.close_item"

    def needs(self, command: CloseItem, seen: View) -> Needs:
        """Lock the item."""
        del seen
        return Needs(lock=((ITEMS, command.item_id),))

    def decide(
        self, view: View, command: CloseItem, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Close it once."""
        del ids
        item = view.row(ITEMS, command.item_id)
        if item is None or not item.is_open:
            return Decision()
        closed = close_item(item, "answered_by_news", moment)
        event = Event(
            "processor.item.answered", item.id, {"kind": item.kind.value}, item.customer_id
        )
        return Decision(changed=((ITEMS, closed),), events=(event,))


TAKE_REPORT = TakeReportOperation()
ADD_FACTS = AddFactsOperation()
JUDGE_REPORT = JudgeReportOperation()
OPEN_ITEM = OpenItemOperation()
CLOSE_ITEM = CloseItemOperation()
