"""Invoices through a real mail server that refuses, forgets, hangs, dies and comes back. R10."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest

from tallybook.ambient.clock import Clock
from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.db.engine import Database
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import SendingState
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.invoices import (
    MAIL_LEASE,
    ClaimMailingOperation,
    RecordMailingOperation,
)
from tallybook.retail.operations.purchases import RecordPurchase, RecordPurchaseOperation
from tallybook.retail.tasks import invoices
from tallybook.retail.tasks.invoices import ATTEMPTS_MAX, InvoiceMailer, mail_invoices
from tallybook.retail.tasks.mails import Send, send_by_smtp, send_to_spool
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome
from tallybook.writer.transact import refused
from tests.mail_server import MailServer, mail_server
from tests.selling import Shop, assert_book_is_clean, done
from tests.serving import Parts, wait_until


@pytest.fixture
def parts(sqlite_book_url: str, tmp_path: Path) -> Iterator[Parts]:
    opened = Parts.open(sqlite_book_url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def shop(parts: Parts) -> Shop:
    shop = Shop(parts.door)
    shop.add_product("चाय", 450, stock=10_000)
    return shop


def sell_to(shop: Shop, *addresses: str) -> None:
    for address in addresses:
        done(shop.sell([(1, 1)], 450, email=address))


def receipts_in(folder: Path) -> set[str]:
    return {path.name.split("-")[1] for path in folder.iterdir()}


def run_pass(parts: Parts, send: Send) -> None:
    mail_invoices(parts, send, sender="till@example.org", shop="Shop")


def test_each_buyer_gets_one_invoice(parts: Parts, shop: Shop) -> None:
    sell_to(shop, "a@example.org", "b@example.org")
    with mail_server() as mail:
        for _ in range(3):
            run_pass(parts, send_by_smtp(mail.url))
    assert mail.recipients == ["a@example.org", "b@example.org"]
    text = mail.taken[0].get_body(("plain",))
    page = mail.taken[0].get_body(("html",))
    assert text is not None
    assert page is not None
    assert "1 चाय" in text.get_content()
    assert "<h1>Receipt 1</h1>" in page.get_content()


def test_addresses_that_are_refused_hold_up_nobody_else(parts: Parts, shop: Shop) -> None:
    """Nor do they use up the tries of those behind them."""
    nobodies = [f"nobody{number}@example.org" for number in range(5)]
    sell_to(shop, *nobodies, "a@example.org")
    with mail_server(MailServer(unknown=set(nobodies))) as mail:
        run_pass(parts, send_by_smtp(mail.url))
        assert mail.recipients == ["a@example.org"]
        sell_to(shop, "b@example.org")
        parts.clock.advance(minutes=1)
        run_pass(parts, send_by_smtp(mail.url))
        assert mail.recipients == ["a@example.org", "b@example.org"]


@pytest.mark.parametrize("address", ["a@[", ')@,"', "x@=?utf-8?q?=00?="])
def test_an_address_that_breaks_a_parser_holds_up_nobody_else(
    parts: Parts, shop: Shop, address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A book from before may hold one. It is tried, given up, and a person is told."""
    odd = RecordPurchase(address, address, ((1, 1),), 450, None)
    operation = RecordPurchaseOperation(CounterTerms("USD", "none"))
    sell_to(shop, "a@example.org")
    assert parts.door.ask_now(Command(operation, odd)).refusal is None
    sell_to(shop, "b@example.org")
    folder = tmp_path / "spool"
    for _ in range(ATTEMPTS_MAX):
        run_pass(parts, send_to_spool(folder))
        assert {"1", "3"} <= receipts_in(folder)
        parts.clock.advance(days=3)
    if "2" not in receipts_in(folder):
        told = [line for line in caplog.records if line.levelname == "ERROR"]
        assert [line.getMessage()[:37] for line in told] == [
            "the invoice of receipt 2 is given up:"
        ]


def test_a_server_that_knows_no_such_address_refuses_only_that_mail(
    parts: Parts, shop: Shop
) -> None:
    """Without SMTPUTF8 an address of another script can't be named at all."""
    sell_to(shop, *(f"\u0905{number}@example.org" for number in range(4)), "a@example.org")
    with mail_server() as mail:
        run_pass(parts, send_by_smtp(mail.url))
    assert mail.recipients == ["a@example.org"]


def test_a_server_that_knows_no_login_refuses_all(parts: Parts, shop: Shop) -> None:
    sell_to(shop, *(f"{number}@example.org" for number in range(8)))
    with mail_server() as mail:
        run_pass(parts, send_by_smtp(mail.url.replace("//", "//user:secret@")))
    assert (mail.greeted, mail.taken) == (3, [])


def test_a_mail_that_was_turned_away_comes_again(parts: Parts, shop: Shop) -> None:
    sell_to(shop, "a@example.org", "b@example.org")
    with mail_server(MailServer(greylisted={"a@example.org"})) as mail:
        run_pass(parts, send_by_smtp(mail.url))
        run_pass(parts, send_by_smtp(mail.url))
        assert mail.recipients == ["b@example.org"]
        parts.clock.advance(minutes=1)
        run_pass(parts, send_by_smtp(mail.url))
    assert mail.recipients == ["b@example.org", "a@example.org"]


def test_what_may_have_gone_goes_again_under_the_same_id(parts: Parts, shop: Shop) -> None:
    sell_to(shop, "a@example.org")
    with mail_server(MailServer(forgets_to_answer=1)) as mail:
        run_pass(parts, send_by_smtp(mail.url))
        parts.clock.advance(minutes=1)
        run_pass(parts, send_by_smtp(mail.url))
        run_pass(parts, send_by_smtp(mail.url))
    assert len(mail.taken) == 2
    assert mail.taken[0]["Message-ID"] == mail.taken[1]["Message-ID"]


def test_while_the_server_is_gone_nobody_behind_the_first_is_given_up(
    parts: Parts, shop: Shop
) -> None:
    """Whoever was never tried has all tries left when it comes back, however long that takes."""
    with mail_server() as mail:
        pass
    buyers = [f"buyer{number}@example.org" for number in range(8)]
    sell_to(shop, *buyers)
    for _ in range(13):
        run_pass(parts, send_by_smtp(mail.url))
        parts.clock.advance(days=3)
    assert mail.greeted == 0
    with mail_server(mail):
        for _ in range(8):
            parts.clock.advance(days=3)
            run_pass(parts, send_by_smtp(mail.url))
    assert sorted(mail.recipients) == buyers
    assert_book_is_clean(parts.database)


def test_a_server_that_hangs_delays_no_sale(parts: Parts, shop: Shop) -> None:
    mail = MailServer()
    mail.hangs.set()
    with mail_server(mail):
        send = send_by_smtp(mail.url)
        mailer = InvoiceMailer(parts, send, sender="till@example.org", shop="Shop")
        sell_to(shop, "a@example.org")
        wait_until(lambda: mail.greeted == 1, 10)
        assert mail.greeted == 1
        # The mailer waits for a greeting that does not come; the counter goes on meanwhile.
        sell_to(shop, *(f"buyer{number}@example.org" for number in range(50)))
        assert (mail.greeted, mail.taken) == (1, [])
        mail.hangs.clear()
        mail.wakes.set()
        wait_until(lambda: len(mail.taken) == 50, 20)
        mailer.close()
    assert len(mail.taken) == 50
    assert "a@example.org" not in mail.recipients


def test_a_stop_sends_nothing_twice(parts: Parts, shop: Shop) -> None:
    """What went is noted, the rest goes after the next start. Source: R10."""
    buyers = [f"buyer{number:02}@example.org" for number in range(30)]
    sell_to(shop, *buyers)
    sent: list[str] = []
    some = threading.Event()

    def send(message: EmailMessage) -> None:
        sent.append(str(message["To"]))
        if len(sent) % 10 == 0:
            some.set()
            # The stop comes while this one is on its way.
            wait_until(lambda: not some.is_set(), 10)

    for _ in range(2):
        mailer = InvoiceMailer(parts, send, sender="till@example.org", shop="Shop")
        assert some.wait(10)
        stop = threading.Thread(target=mailer.close)
        stop.start()
        stop.join(0.3)
        some.clear()
        stop.join()
    assert sent == buyers[:20]
    sell_to(shop, "late@example.org")
    for _ in range(2):
        run_pass(parts, lambda message: sent.append(str(message["To"])))
    assert sent == [*buyers, "late@example.org"]
    assert_book_is_clean(parts.database)


def test_a_stop_while_a_mail_hangs_forgets_none_before_it(
    parts: Parts, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoices, "CLOSE_SECONDS", 0.1)
    sell_to(shop, *(f"{number}@example.org" for number in range(4)))
    sent: list[str] = []
    hangs, goes_on = threading.Event(), threading.Event()

    def send(message: EmailMessage) -> None:
        if len(sent) == 2:
            hangs.set()
            goes_on.wait(30)
            raise TimeoutError
        sent.append(str(message["To"]))

    mailer = InvoiceMailer(parts, send, sender="till@example.org", shop="Shop")
    assert hangs.wait(10)
    mailer.close()
    run_pass(parts, lambda message: sent.append(str(message["To"])))
    goes_on.set()
    assert sent == [f"{number}@example.org" for number in range(4)]


def set_sending(parts: Parts, state: SendingState, lost: date | None = None) -> None:
    asked = SetSending(state, "a test", "ann", lost_from=lost, lost_until=lost)
    assert parts.door.ask_now(Command(SET_SENDING, asked)).refusal is None


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_restored_copy_mails_nothing_until_it_may_send(
    parts: Parts, shop: Shop, is_stopped: bool
) -> None:
    """What waited when the copy was made may have gone since. Source: R10, P9."""
    sell_to(shop, *(f"waits{number}@example.org" for number in range(5)))
    if is_stopped:
        set_sending(parts, SendingState.STOPPED)
    set_sending(parts, SendingState.RECONCILING, parts.clock.today())
    sent: list[str] = []
    for _ in range(5):
        run_pass(parts, lambda message: sent.append(str(message["To"])))
        sell_to(shop, "new@example.org")
        parts.clock.advance(days=3)
    assert sent == []
    # All have their tries left, and none is too old: it was not for want of a mailer.
    set_sending(parts, SendingState.OPEN)
    for _ in range(2):
        run_pass(parts, lambda message: sent.append(str(message["To"])))
    assert sorted(sent) == [*["new@example.org"] * 5, *(f"waits{n}@example.org" for n in range(5))]
    assert_book_is_clean(parts.database)


def test_a_stop_of_debits_is_none_of_invoices(parts: Parts, shop: Shop) -> None:
    sell_to(shop, "a@example.org")
    set_sending(parts, SendingState.STOPPED)
    sent: list[str] = []
    run_pass(parts, lambda message: sent.append(str(message["To"])))
    assert sent == ["a@example.org"]


def test_what_nobody_waits_for_any_more_is_not_mailed(
    parts: Parts, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """A shop that goes without mail for a year has not a year of invoices to send."""
    sell_to(shop, "a@example.org", "b@example.org")
    parts.clock.advance(days=8)
    sell_to(shop, "c@example.org")
    parts.clock.advance(days=6)
    sent: list[str] = []
    caplog.set_level("INFO")
    for _ in range(2):
        run_pass(parts, lambda message: sent.append(str(message["To"])))
    assert sent == ["c@example.org"]
    told = [line.getMessage() for line in caplog.records if "too old" in line.getMessage()]
    assert told == ["2 invoices are too old to be mailed, up to receipt 2"]


@dataclass
class BusyDoor:
    """A counter whose door refuses so many of a kind of command."""

    parts: Parts
    kind: type
    refusals: int
    raises: bool
    asked: list[str] = field(default_factory=list[str])

    @property
    def database(self) -> Database:
        return self.parts.database

    @property
    def clock(self) -> Clock:
        return self.parts.clock

    @property
    def door(self) -> Door:
        return cast("Door", self)

    def ask_now(self, command: Command) -> Outcome:
        if isinstance(command.operation, self.kind) and self.refusals:
            self.refusals -= 1
            if self.raises:
                raise Refused(Refusal("busy"))
            return refused(Refusal("busy"))
        return self.parts.door.ask_now(command)


@pytest.mark.parametrize("raises", [False, True])
def test_a_busy_book_in_the_middle_of_a_pass_sends_nothing_twice(
    parts: Parts, shop: Shop, raises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoices, "NOTE_PAUSE_SECONDS", 0)
    sell_to(shop, *(f"{number}@example.org" for number in range(4)))
    sent: list[str] = []
    busy = BusyDoor(parts, ClaimMailingOperation, 0, raises)

    def send(message: EmailMessage) -> None:
        sent.append(str(message["To"]))
        if len(sent) == 2:
            # More than half of the lease is over, and it can't be prolonged.
            parts.clock.advance(seconds=MAIL_LEASE.total_seconds() * 0.6)
            busy.refusals = 1

    try:
        mail_invoices(busy, send, sender="till@example.org", shop="Shop")
    except Refused:
        assert raises
    assert len(sent) == 2
    busy.kind, busy.refusals = RecordMailingOperation, 3
    for _ in range(3):
        mail_invoices(busy, send, sender="till@example.org", shop="Shop")
    assert (sent, busy.refusals) == ([f"{number}@example.org" for number in range(4)], 0)
    assert_book_is_clean(parts.database)
