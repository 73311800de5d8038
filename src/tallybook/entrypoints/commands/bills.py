"""`tallybook bills`: an inbox brought in, what is due, and what the rules make of a text."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.bills import queries
from tallybook.bills.operations.inbox import ReadingPool
from tallybook.bills.operations.taking import Intake
from tallybook.bills.reading.model import Verdict
from tallybook.bills.reading.reader import load_reader, show_reading
from tallybook.bills.reading.rulebook import RuleFileError
from tallybook.bills.rules.states import open_minor, state_on
from tallybook.bills.tasks import (
    ImportRefusedError,
    ImportSummary,
    import_messages,
)
from tallybook.entrypoints.engine import Engine
from tallybook.entrypoints.errors import ExitCode
from tallybook.entrypoints.progress import show_progress
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.ids import parse_id
from tallybook.kernel.money import format_amount

SHOWN_MOST = 20
_DUE_MOST = 500
_POOL_FROM_BYTES = 500_000
"""From here on it pays to start processes that read. Units: bytes."""
_READERS = 2
"""Reading takes about twice the processor time of recording: with two beside the one that records,
two cores have work all the time."""


def import_inbox(
    path: Path, customer: str, received_on: date | None, rules: list[Path], **given: object
) -> ExitCode:
    """Bring in a file of messages, one JSON object a line, and say what became of them."""
    settings = load_settings(**given)
    log_to(level="WARNING", style=settings.log_format)
    ident = parse_id("cus", customer)
    if ident is None:
        print("a customer's id looks like cus_0193...: `GET /api/v1/customers` lists them")
        return ExitCode.REFUSED
    told: list[str] = []

    def unreadable(number: int, why: str) -> None:
        if len(told) < SHOWN_MOST:
            told.append(f"line {number}: {why}")

    engine = Engine.open(settings, may_create=False)
    try:
        now = engine.clock.now()
        zone = ZoneInfo(settings.timezone)
        received_at = now
        if received_on is not None:
            received_at = min(now, datetime.combine(received_on, time(12), zone))
        reader = load_reader(rules)
        intake = Intake(reader, engine.secrets, engine.ids, now, settings.timezone)
        with ExitStack() as undo:
            lines = undo.enter_context(path.open("rb"))
            shown = undo.enter_context(show_progress())
            pool = None
            if path.stat().st_size > _POOL_FROM_BYTES:
                pool = undo.enter_context(ReadingPool(rules, _READERS, settings.key_path))
            summary = import_messages(
                engine, intake, lines, customer_id=ident, currency=settings.currency,
                received_at=received_at, progress=shown, when_unreadable=unreadable,
                pool=pool,
            )  # fmt: skip
    except (ImportRefusedError, RuleFileError) as error:
        print(error)
        return ExitCode.REFUSED
    finally:
        engine.close()
    print("\n".join([*told, *summary_lines(summary)]))
    return ExitCode.FOUND if summary.unreadable else ExitCode.DONE


def summary_lines(summary: ImportSummary) -> list[str]:
    """Write what became of an inbox.

    >>> from collections import Counter
    >>> summary = ImportSummary(lines=3, duplicates=1, became=Counter(applied=2))
    >>> for line in summary_lines(summary):
    ...     print(line)
    messages           count
    applied                2
    were there before      1
    all                    3
    """
    names = {
        "applied": "applied",
        "information": "kept as information",
        "review": "wait for review",
        "unmatched": "are about no bill",
        "duplicate": "another wording of one before",
        "otp_dropped": "one-time passwords, not kept",
    }
    rows = [(names.get(status, status), f"{summary.became[status]:,}")
            for status in (*names, *sorted(summary.became.keys() - names.keys()))
            if summary.became[status]]  # fmt: skip
    if summary.duplicates:
        rows.append(("were there before", f"{summary.duplicates:,}"))
    if summary.unreadable:
        rows.append(("lines that are no message", f"{summary.unreadable:,}"))
    rows.append(("all", f"{summary.lines:,}"))
    return format_table(("messages", "count"), rows, right=("count",))


def show_due(customer: str | None, **given: object) -> ExitCode:
    """Show the bills that are open, the earliest due first."""
    settings = load_settings(**given)
    ident = parse_id("cus", customer) if customer else None
    if customer and ident is None:
        print("a customer's id looks like cus_0193...")
        return ExitCode.REFUSED
    engine = Engine.open(settings, may_create=False, sends_nothing=True)
    try:
        today = engine.clock.today()
        with engine.database.reader() as connection:
            found = queries.list_due(connection, customer_id=ident, limit=_DUE_MOST)
    finally:
        engine.close()
    rows = [
        (
            bill.due_on.isoformat() if bill.due_on else "-",
            str(state_on(bill, today)).replace("_", " "),
            account.issuer or "-",
            str(account.type).removesuffix("_BILL").lower(),
            account.number or "-",
            "-" if bill.amount_minor is None else format_amount(open_minor(bill), bill.currency),
            bill.currency,
        )
        for bill, account in found
    ]
    if not rows:
        print("nothing is due")
        return ExitCode.DONE
    heads = ("due on", "status", "issuer", "type", "account", "open", "currency")
    print("\n".join(format_table(heads, rows, right=("open",))))
    if len(rows) == _DUE_MOST:
        print(f"... the first {_DUE_MOST}; give --customer for one household")
    return ExitCode.DONE


def try_text(text: str, sender: str | None, rules: list[Path], today: date) -> ExitCode:
    """Show what each rule makes of a text, and what is read in the end. Nothing is recorded."""
    try:
        reader = load_reader(rules)
    except (RuleFileError, OSError) as error:
        print(error)
        return ExitCode.REFUSED
    rows = [
        (
            "chosen" if tried.chosen else "fits",
            tried.rule,
            tried.kind,
            " ".join(f"{name}={value}" for name, value in tried.captured.items()) or "-",
        )
        for tried in reader.explain(text, sender)
        if tried.matched
    ]
    print("\n".join(format_table(("", "rule", "kind", "captured"), rows)))
    print(f"({len(reader.book.rules) - len(rows)} other rules don't fit)\n")
    reading = reader.read(text, sender, today)
    spans = reading.spans
    fields = [
        (
            name,
            str(value),
            f"{spans[name].confidence} %" if name in spans else "-",
            f"{spans[name].start}-{spans[name].end}" if name in spans else "-",
        )
        for name, value in show_reading(reading).items()
        if value not in (None, "") and name not in ("accepted", "confidence", "credit")
    ]
    print("\n".join(format_table(("field", "read as", "sure", "place"), fields)))
    for doubt in reading.doubts:
        print(f"doubt: {doubt}")
    end = "is taken" if reading.is_accepted else "waits for review"
    if reading.verdict in (Verdict.NOISE, Verdict.UNKNOWN):
        end = "is about no bill"
    print(f"\nthe message {end}")
    return ExitCode.DONE
