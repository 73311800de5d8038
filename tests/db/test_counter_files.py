"""The counter's long work: a catalogue, past sales, invoices by mail; and a real shop's."""

import gzip
import io
import os
import smtplib
from collections import Counter as Tally
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tallybook.ambient.liveness import this_process
from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.invoices import MAIL_LEASE
from tallybook.retail.queries.reads import list_refunds
from tallybook.retail.store import PRODUCTS_TABLE, PURCHASES_TABLE, REFUND_ITEMS_TABLE
from tallybook.retail.tasks.catalogue import import_products
from tallybook.retail.tasks.invoices import ATTEMPTS_MAX, mail_invoices
from tallybook.retail.tasks.mails import Send, send_to_spool
from tallybook.retail.tasks.past_sales import SalesSummary, import_sales
from tests.selling import Shop, assert_book_is_clean, done
from tests.serving import Parts

TERMS = CounterTerms("USD")
SHOP_LINES, SHOP_SOLD_MINOR = 4_000, 7_596_878
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def parts(book_url: str, tmp_path: Path) -> Iterator[Parts]:
    opened = Parts.open(book_url, tmp_path)
    yield opened
    opened.close()


class Told(list[tuple[int, str]]):
    """The lines that were refused, with their codes."""

    def __call__(self, number: int, refusal: Refusal) -> None:
        self.append((number, refusal.code))


def bring(parts: Parts, raw: bytes, told: Told, *, stock: bool = False) -> SalesSummary:
    return import_sales(
        parts,
        TERMS,
        io.BytesIO(raw),
        when_refused=told,
        notes_stock=stock,
    )


def test_a_catalogue(parts: Parts) -> None:
    told = Told()
    raw = (
        b"name,price,sku,stock,tax_percent,tax_inclusive\n"
        b"tea,4.50,T1,10,12.5,no\n"
        b'"coffee, ground",7,C1,5,0,yes\n'
        b"TEA,1,T2,1,0,no\n"
        b"milk,1,T1,1,0,no\n"
        b"free,0,,1,0,no\n"
        b"odd,1,,1.5,0,no\n"
        b"odd,1,,1,101,no\n"
        b"odd,1,,1,0,maybe\n"
        b",1,,1,0,no\n"
        b"short,1\n"
    )
    summary = import_products(parts, TERMS, io.BytesIO(raw), when_refused=told)
    assert (summary.added, summary.refused) == (2, 8)
    assert sorted(told) == [
        (4, "name_taken"),
        (5, "sku_taken"),
        (6, "amount_invalid"),
        (7, "field_invalid"),
        (8, "tax_percent_invalid"),
        (9, "field_invalid"),
        (10, "product_name_invalid"),
        (11, "line_malformed"),
    ]
    assert_book_is_clean(parts.database)


SALES = (
    b"reference,sku,name,quantity,unit_price,sold_on,tax_percent,customer_email\n"
    b"A1,T1,tea,6,2.55,2025-12-01,5,ann@example.org\n"
    b"A1,T1,tea,2,2.55,2025-12-01,5,ann@example.org\n"
    b"A1,T1,tea,1,2.10,2025-12-01,5,ann@example.org\n"
    b"A2,T1,tea,0,2.55,2025-12-01,5,ann@example.org\n"
    b"A2,M1,milk,3,0,2025-12-01,5,ann@example.org\n"
    b"A2,M1,milk,3,-1,2025-12-01,5,ann@example.org\n"
    b"C3,T1,tea,-7,2.55,2025-12-02,5,ann@example.org\n"
    b"C4,T1,tea,-7,2.55,2025-12-02,5,ann@example.org\n"
    b"C5,T1,tea,-1,2.55,2025-12-02,5,bob@example.org\n"
    b"A6,T1,tea,1,2.555,2025-12-03,5,\n"
    b"A7,T1,tea,1,2.55,2025-13-03,5,\n"
)


def test_past_sales_come_in_once(parts: Parts) -> None:
    """Equal lines merge before tax, cancellations are refunds, the rest is told with its reason."""
    told = Told()
    first = bring(parts, SALES, told)
    assert (first.sales, first.refunds, first.products) == (1, 1, 1)
    assert (first.lines, first.lines_sold, first.lines_returned, first.lines_refused) == (
        (11, 3, 1, 7)
    )
    # 8 x 2.55 = 20.40 with 1.02 of tax, and 2.10 with 0.11 (half up); back go 7: 17.85 and 0.89.
    assert (first.sold_minor, first.refunded_minor) == (2363, 1874)
    assert dict(told) == {
        5: "sale_line_unfit",
        6: "sale_line_unfit",
        7: "sale_line_unfit",
        9: "sale_line_unfit",
        10: "sale_line_unfit",
        11: "amount_invalid",
        12: "date_invalid",
    }
    again = bring(parts, SALES, Told())
    assert (again.sales, again.refunds, again.products) == (0, 0, 0)
    assert (again.sold_minor, again.refunded_minor) == (0, 0)
    assert (again.lines_already_there, again.lines_refused) == (4, 7)
    assert again.lines_sold == again.lines_returned == first.lines_already_there == 0
    with parts.database.reader() as connection:
        assert len(list(connection.execute(select(PURCHASES_TABLE.c.number)))) == 1
        assert len(list_refunds(connection, 1)) == 1
    assert_book_is_clean(parts.database)


HEAD = b"reference,sku,name,quantity,unit_price,sold_on,tax_percent,customer_email\n"


def test_an_invoice_with_a_line_that_cant_be_read_waits_for_it(parts: Parts) -> None:
    """Half of it would take the number, and the corrected one could never come in. Source: R2."""
    good, bad = b"P1,S1,tea,1,1.00,2026-01-01,0,\n", b"P1,S2,cake,%s,9.00,2026-01-01,0,\n"
    back = b"P1,S0,milk,-1,1.00,2026-01-01,0,\n"
    other = b"P2,S1,tea,1,1.00,2026-01-01,0,\n"
    told = Told()
    first = bring(parts, HEAD + good + bad % b"x" + back + other, told, stock=True)
    assert (first.sales, first.products, first.lines_sold, first.lines_refused) == (1, 1, 1, 3)
    assert told == [(number, "sale_line_unfit") for number in (2, 3, 4)]
    with parts.database.reader() as connection:
        assert connection.execute(select(PRODUCTS_TABLE.c.stock)).scalars().all() == [0]
    # Of tea there is none; the corrected invoice brings what it takes.
    again = bring(parts, HEAD + good + bad % b"2" + other, Told(), stock=True)
    assert (again.sales, again.products, again.sold_minor) == (1, 1, 1900)
    assert again.lines_already_there == 1
    assert_book_is_clean(parts.database)


def test_a_line_of_no_invoice_spoils_those_it_may_be_of(parts: Parts) -> None:
    line = b"%s,S1,tea,1,1.00,2026-01-01,0,\n"
    raw = HEAD + line % b"A1" + line % b"A2" + b"A3,S1\n" + line % b"A4" + line % b"A5"
    told = Told()
    assert bring(parts, raw, told).sales == 2
    assert told == [(3, "sale_line_unfit"), (4, "line_malformed"), (5, "sale_line_unfit")]
    told.clear()
    assert bring(parts, HEAD + b"A6,S1\n" + line % b"A7", told).sales == 0
    assert told == [(2, "line_malformed"), (3, "sale_line_unfit")]


@pytest.mark.parametrize(
    ("reference", "sold_on", "code"),
    [
        ("L" * 65, "2026-01-01", "sale_line_unfit"),
        ("", "2026-01-01", "sale_line_unfit"),
        ("A\x1b[31m", "2026-01-01", "sale_line_unfit"),
        ("A\u202e1", "2026-01-01", "sale_line_unfit"),
        ("A\x001", "2026-01-01", "sale_line_unfit"),
        ("A1", "2099-12-31", "date_in_future"),
        ("A1", "2026-03-03", "date_in_future"),
        ("A1", "2026-01-01 or so", "date_invalid"),
        ("A1", "2026-01-012", "date_invalid"),
    ],
)
def test_what_cant_be_a_reference_or_a_day(
    parts: Parts, reference: str, sold_on: str, code: str
) -> None:
    told = Told()
    raw = HEAD + f"{reference},S1,tea,1,1.00,{sold_on},0,\n".encode()
    assert bring(parts, raw, told).sales == 0
    assert told == [(2, code)]


@pytest.mark.parametrize("time", ["", " 08:26", " 08:26:00", "T08:26:00.5Z", "T08:26:00+05:30"])
def test_a_time_may_follow_the_day(parts: Parts, time: str) -> None:
    raw = HEAD + f"A1,S1,tea,1,1.00,2026-03-02{time},0,\n".encode()
    assert bring(parts, raw, Told()).sales == 1


def test_references_that_begin_alike_are_several_sales(parts: Parts) -> None:
    line = b"%s,S1,tea,1,1.00,2026-01-01,0,\n"
    raw = HEAD + line % (b"L" * 63 + b"A") + line % (b"L" * 63 + b"B")
    assert bring(parts, raw, Told()).sales == 2


def test_the_example_of_a_real_shop(parts: Parts) -> None:
    raw = (ROOT / "examples" / "counter" / "invoices.csv").read_bytes()
    told = Told()
    summary = bring(parts, raw, told, stock=True)
    assert summary.lines == summary.lines_sold + summary.lines_returned + summary.lines_refused
    assert summary.sales > 20
    assert summary.refunds >= 1
    assert len(told) == summary.lines_refused
    with parts.database.reader() as connection:
        # What was sold took what it brought; what came back is there.
        back = select(func.sum(REFUND_ITEMS_TABLE.c.quantity))
        there = select(func.sum(PRODUCTS_TABLE.c.stock))
        assert connection.execute(there).scalar() == connection.execute(back).scalar()
    assert_book_is_clean(parts.database)


@pytest.mark.slow
@pytest.mark.slow
def test_the_sample_of_the_real_shop(parts: Parts, *, everything: bool) -> None:
    folder = Path(os.environ.get("TALLYBOOK_TEST_DATA", ROOT.parent / "shared" / "data"))
    path = folder / "retail" / "invoices.csv.gz"
    if not path.exists():
        pytest.skip(f"the shop's 2,500 invoices are not at {path}: set TALLYBOOK_TEST_DATA")
    if parts.database.is_sqlite:
        pytest.skip("once is enough, on PostgreSQL")
    told = Told()
    raw = gzip.decompress(path.read_bytes())
    if not everything:
        raw = b"".join(raw.splitlines(keepends=True)[: 1 + SHOP_LINES])
    summary = bring(parts, raw, told, stock=True)
    assert summary.lines == summary.lines_sold + summary.lines_returned + summary.lines_refused
    # The sums as a few lines that add up what can be sold in the same file give them.
    assert (summary.lines, summary.sold_minor) == (
        (54_134, 105_660_521) if everything else (SHOP_LINES, SHOP_SOLD_MINOR)
    )
    reasons = Tally(code for _, code in told)
    assert set(reasons) == {"sale_line_unfit"}
    assert_book_is_clean(parts.database)


# --- invoices by mail -----------------------------------------------------------------------------


def test_invoices_go_into_the_spool_once(parts: Parts, tmp_path: Path) -> None:
    shop = Shop(parts.door)
    tea = shop.add_product("चाय & tea", 450)
    done(shop.sell([(tea, 2)], 900, email="a@example.org"))
    done(shop.sell([(tea, 1)], 450))
    folder = tmp_path / "spool"
    for _ in range(3):
        mail_invoices(parts, send_to_spool(folder), sender="till@example.org", shop="Shop")
    (file,) = folder.iterdir()
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert (mail["To"], mail["Subject"]) == ("a@example.org", "Shop: receipt 1")
    assert isinstance(mail, EmailMessage)
    text = mail.get_body(("plain",))
    assert text is not None
    assert "चाय & tea" in text.get_content()
    done(shop.sell([(tea, 1)], 450, email="b@example.org"))
    mail_invoices(parts, send_to_spool(folder), sender="till@example.org", shop="Shop")
    assert sorted(path.name.split("-")[1] for path in folder.iterdir()) == ["1", "3"]


def test_a_dead_mail_server_is_tried_again_and_delays_no_sale(parts: Parts) -> None:
    shop = Shop(parts.door)
    tea = shop.add_product("tea", 450)
    done(shop.sell([(tea, 1)], 450, email="a@example.org"))
    tries: list[str] = []

    def dead(message: EmailMessage) -> None:
        tries.append(message["To"])
        raise smtplib.SMTPServerDisconnected("gone")

    for number in range(1, ATTEMPTS_MAX + 3):
        done(shop.sell([(tea, 1)], 450))  # somebody else goes on buying
        mail_invoices(parts, dead, sender="till@example.org", shop="Shop")
        mail_invoices(parts, dead, sender="till@example.org", shop="Shop")
        assert len(tries) == min(number, ATTEMPTS_MAX)
        parts.clock.advance(minutes=2**number)
    assert_book_is_clean(parts.database)


def test_a_mail_server_that_comes_back_gets_what_waited(parts: Parts, tmp_path: Path) -> None:
    shop = Shop(parts.door)
    tea = shop.add_product("tea", 450)
    done(shop.sell([(tea, 1)], 450, email="a@example.org"))

    def dead(message: EmailMessage) -> None:
        raise ConnectionRefusedError

    folder = tmp_path / "spool"
    mail_invoices(parts, dead, sender="till@example.org", shop="Shop")
    mail_invoices(parts, send_to_spool(folder), sender="till@example.org", shop="Shop")
    assert not folder.exists()
    parts.clock.advance(minutes=2)
    for _ in range(2):
        mail_invoices(parts, send_to_spool(folder), sender="till@example.org", shop="Shop")
    assert [path.name.split("-")[1] for path in folder.iterdir()] == ["1"]


def test_of_two_processes_one_mails(parts: Parts) -> None:
    """While one is at it, the other looks on; each invoice goes once."""
    shop = Shop(parts.door)
    tea = shop.add_product("tea", 450)
    for number in range(12):
        done(shop.sell([(tea, 1)], 450, email=f"{number}@example.org"))
    sent: list[tuple[str, str]] = []

    def send_as(holder: str, meanwhile: str | None) -> Send:
        def send(message: EmailMessage) -> None:
            sent.append((holder, message["To"]))
            if meanwhile is not None:
                mail_as(meanwhile)

        return send

    def mail_as(holder: str, meanwhile: str | None = None) -> None:
        send = send_as(holder, meanwhile)
        mail_invoices(parts, send, sender="till@example.org", shop="Shop", holder=holder)

    mail_as("one", meanwhile="two")
    mail_as("two")
    assert sent == [("one", f"{number}@example.org") for number in range(12)]
    # Whoever has it keeps it, until it has been silent for so long.
    sent.clear()
    done(shop.sell([(tea, 1)], 450, email="late@example.org"))
    mail_as("two")
    assert sent == []
    parts.clock.advance(seconds=MAIL_LEASE.total_seconds() + 1)
    mail_as("two")
    mail_as("one")
    assert sent == [("two", "late@example.org")]
    assert_book_is_clean(parts.database)


def test_a_mailer_that_was_held_up_stops_where_another_has_taken_over(parts: Parts) -> None:
    shop = Shop(parts.door)
    tea = shop.add_product("tea", 450)
    for number in range(4):
        done(shop.sell([(tea, 1)], 450, email=f"{number}@example.org"))
    sent: list[str] = []

    def hangs(message: EmailMessage) -> None:
        parts.clock.advance(seconds=MAIL_LEASE.total_seconds() + 1)
        mail_invoices(parts, works, sender="till@example.org", shop="Shop", holder="two")
        sent.append(f"one {message['To']}")

    def works(message: EmailMessage) -> None:
        sent.append(f"two {message['To']}")

    mail_invoices(parts, hangs, sender="till@example.org", shop="Shop", holder="one")
    mail_invoices(parts, works, sender="till@example.org", shop="Shop", holder="two")
    assert sent == [*(f"two {number}@example.org" for number in range(4)), "one 0@example.org"]


def test_nobody_waits_for_a_dead_mailer(parts: Parts) -> None:
    shop = Shop(parts.door)
    tea = shop.add_product("tea", 450)
    sent: list[str] = []

    def send(message: EmailMessage) -> None:
        sent.append(message["To"])

    host = this_process().partition("/")[0]
    for holder in (f"{host}/999999999/1", "alive"):
        done(shop.sell([(tea, 1)], 450, email="a@example.org"))
        mail_invoices(parts, send, sender="till@example.org", shop="Shop", holder=holder)
    assert len(sent) == 2
