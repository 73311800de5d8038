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
from sqlalchemy import select

from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import CounterTerms
from tallybook.retail.queries.reads import list_products, list_refunds
from tallybook.retail.store import PRODUCTS_TABLE, PURCHASES_TABLE
from tallybook.retail.tasks.catalogue import import_products
from tallybook.retail.tasks.invoices import ATTEMPTS_MAX, mail_invoices, send_to_spool
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
    def find(sku: str) -> int | None:
        with parts.database.reader() as connection:
            found = list_products(connection, sku=sku, limit=1)
        return found[0].id if found else None

    return import_sales(
        parts,
        TERMS,
        io.BytesIO(raw),
        find_product=find,
        when_refused=told,
        takes_stock=stock,
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


def test_the_example_of_a_real_shop(parts: Parts) -> None:
    raw = (ROOT / "examples" / "counter" / "invoices.csv").read_bytes()
    told = Told()
    summary = bring(parts, raw, told, stock=True)
    assert summary.lines == summary.lines_sold + summary.lines_returned + summary.lines_refused
    assert summary.sales > 20
    assert summary.refunds >= 1
    assert len(told) == summary.lines_refused
    with parts.database.reader() as connection:
        # What was sold took all the stock there was; what came back is there again.
        assert connection.execute(select(PRODUCTS_TABLE.c.stock)).scalars().all() != []
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
    assert [path.name for path in folder.iterdir()] == ["invoice-1.eml"]
    mail = message_from_bytes((folder / "invoice-1.eml").read_bytes(), policy=policy.default)
    assert (mail["To"], mail["Subject"]) == ("a@example.org", "Shop: receipt 1")
    assert isinstance(mail, EmailMessage)
    text = mail.get_body(("plain",))
    assert text is not None
    assert "चाय & tea" in text.get_content()
    done(shop.sell([(tea, 1)], 450, email="b@example.org"))
    mail_invoices(parts, send_to_spool(folder), sender="till@example.org", shop="Shop")
    assert sorted(path.name for path in folder.iterdir()) == ["invoice-1.eml", "invoice-3.eml"]


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
    assert [path.name for path in folder.iterdir()] == ["invoice-1.eml"]
