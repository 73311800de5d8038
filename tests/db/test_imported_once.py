"""Past sales brought in again, corrected or longer: what is in the book stays as it is. R2, R8."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from tallybook.retail.operations.products import (
    ChangeProduct,
    ChangeProductOperation,
    RetireProduct,
    RetireProductOperation,
)
from tallybook.retail.rules import basket
from tallybook.retail.store import (
    PRODUCTS_TABLE,
    PURCHASE_ITEMS_TABLE,
    PURCHASES_TABLE,
    REFUNDS_TABLE,
)
from tallybook.retail.tasks.past_sales import SalesSummary
from tallybook.writer.model import Command
from tests.db.test_counter_files import TERMS, Told, bring
from tests.selling import assert_book_is_clean
from tests.serving import Parts

HEAD = "reference,sku,quantity,unit_price,sold_on,name,customer\n"


@pytest.fixture
def parts(book_url: str, tmp_path: Path) -> Iterator[Parts]:
    opened = Parts.open(book_url, tmp_path)
    yield opened
    opened.close()


def sales(*lines: str) -> bytes:
    """Write lines such as `A1 TEA 2 10` into a file; each invoice has the day of its last sign."""
    rows = (line.split() for line in lines)
    return (
        HEAD
        + "".join(
            f"{ref},{sku},{quantity},{price},2026-01-0{ref[-1]},{sku.title()},c1\n"
            for ref, sku, quantity, price in rows
        )
    ).encode()


def refunds(parts: Parts) -> list[tuple[int, str, int]]:
    """List the refunds in the book: of which purchase, under which reference, for how much."""
    columns = REFUNDS_TABLE.c.purchase_number, REFUNDS_TABLE.c.reference, REFUNDS_TABLE.c.cash_minor
    with parts.database.reader() as connection:
        found = connection.execute(select(*columns).order_by(REFUNDS_TABLE.c.number))
        return [(number, reference, cash) for number, reference, cash in found]


def stocks(parts: Parts) -> list[int]:
    with parts.database.reader() as connection:
        found = select(PRODUCTS_TABLE.c.stock).order_by(PRODUCTS_TABLE.c.id)
        return [int(stock) for stock in connection.execute(found).scalars()]


def lines_of(summary: SalesSummary) -> tuple[int, int, int, int]:
    """Tell the lines sold, taken back, already there and refused: each line is one of these."""
    parted = (
        summary.lines_sold,
        summary.lines_returned,
        summary.lines_already_there,
        summary.lines_refused,
    )
    assert sum(parted) == summary.lines
    return parted


@pytest.mark.parametrize(
    ("first", "second", "new"),
    [
        (  # A2 is spoilt at first.
            ("A1 TEA 2 10", "A2 TEA 2 10", "A2 CUP x 5", "C3 TEA -2 10"),
            ("A1 TEA 2 10", "A2 TEA 2 10", "A2 CUP 1 5", "C3 TEA -2 10"),
            (2, 0, 2, 0),
        ),
        (  # A sale that was forgotten comes in between.
            ("A1 TEA 2 10", "C3 TEA -2 10"),
            ("A1 TEA 2 10", "A0 TEA 2 10", "C3 TEA -2 10"),
            (1, 0, 2, 0),
        ),
        (  # The sale it was of is in the file no more.
            ("A1 TEA 2 10", "C3 TEA -2 10"),
            ("A2 TEA 2 10", "C3 TEA -2 10"),
            (1, 0, 1, 0),
        ),
        (  # Its lines stand in another order.
            ("A1 TEA 2 10", "A1 CUP 1 5", "C3 TEA -1 10", "C3 CUP -1 5", "C3 TEA -1 10"),
            ("A1 CUP 1 5", "A1 TEA 2 10", "C3 CUP -1 5", "C3 TEA -1 10", "C3 TEA -1 10"),
            (0, 0, 5, 0),
        ),
    ],
)
def test_a_cancellation_is_refunded_once(
    parts: Parts, first: tuple[str, ...], second: tuple[str, ...], new: tuple[int, int, int, int]
) -> None:
    """Whichever sales have come in meanwhile that it could also be about. Source: R8."""
    second = tuple(line.replace("A0", "A9") for line in second)
    bring(parts, sales(*first), Told())
    given = refunds(parts)
    assert len(given) == 1
    again = bring(parts, sales(*second), Told())
    assert lines_of(again) == new
    assert (again.refunds, again.refunded_minor) == (0, 0)
    assert refunds(parts) == given
    assert_book_is_clean(parts.database)


def test_what_a_cancellation_took_is_not_there_for_the_next(parts: Parts) -> None:
    bring(parts, sales("A1 TEA 2 10", "C3 TEA -2 10"), Told())
    told = Told()
    again = bring(parts, sales("A1 TEA 2 10", "C2 TEA -1 10", "C3 TEA -2 10"), told)
    assert (lines_of(again), told) == ((0, 0, 2, 1), [(3, "sale_line_unfit")])
    again = bring(parts, sales("A1 TEA 2 10", "A2 TEA 2 10", "C2 TEA -1 10"), told)
    assert lines_of(again) == (1, 1, 1, 0)
    assert refunds(parts) == [(1, "C3", 2000), (2, "C2", 1000)]
    assert_book_is_clean(parts.database)


def test_a_cancellation_comes_in_whole_or_waits(parts: Parts) -> None:
    told = Told()
    sold = "A1 TEA 2 10", "A1 CUP 1 5"
    first = bring(parts, sales(*sold, "C3 TEA -1 10", "C3 CUP -2 5"), told)
    assert lines_of(first) == (2, 0, 0, 2)
    assert told == [(4, "sale_line_unfit"), (5, "sale_line_unfit")]
    assert refunds(parts) == []
    second = bring(parts, sales(*sold, "C3 TEA -1 10", "C3 CUP -1 5"), told)
    assert lines_of(second) == (0, 2, 2, 0)
    assert refunds(parts) == [(1, "C3", 1500)]
    assert_book_is_clean(parts.database)


def test_of_a_cancellation_what_is_missing_comes_in(parts: Parts) -> None:
    """A book from before may have a half of one, and a crash between its refunds left one."""
    sold = "A1 TEA 2 10", "A1 CUP 1 5", "A2 TEA 1 10"
    bring(parts, sales(*sold, "C3 TEA -1 10"), Told())
    again = bring(parts, sales(*sold, "C3 TEA -2 10", "C3 CUP -1 5"), Told())
    assert lines_of(again) == (0, 2, 3, 0)
    assert refunds(parts) == [(2, "C3", 1000), (1, "C3", 1500)]
    third = bring(parts, sales(*sold, "C3 TEA -2 10", "C3 CUP -1 5"), Told())
    assert lines_of(third) == (0, 0, 5, 0)
    assert_book_is_clean(parts.database)


@pytest.mark.parametrize(
    ("other", "there", "refused"),
    [
        (("A1 TEA 2 11", "C3 TEA -1 10"), 1, 1),
        (("A1 TEA 1 10", "C3 TEA -1 10"), 1, 1),
        (("A1 TEA 2 10", "A1 CUP 1 5", "C3 TEA -1 10"), 1, 2),
        (("A1 TEA 2 10", "C3 TEA -1 11"), 1, 1),
        (("A1 TEA 2 10", "C3 CUP -1 10"), 1, 1),
    ],
)
def test_what_is_in_the_book_with_other_lines_is_told(
    parts: Parts, other: tuple[str, ...], there: int, refused: int
) -> None:
    bring(parts, sales("A1 TEA 2 10", "C3 TEA -1 10"), Told())
    told = Told()
    again = bring(parts, sales(*other), told)
    assert lines_of(again) == (0, 0, there, refused)
    assert {code for _, code in told} == {"sale_line_unfit"}
    assert (len(refunds(parts)), again.products) == (1, 0)


def test_a_reference_that_stands_twice_in_a_file_is_one_sale(parts: Parts) -> None:
    told = Told()
    twice = "A1 TEA 2 10", "A2 TEA 1 10", "A1 TEA 2 10", "C3 TEA -4 10", "A1 TEA 1 10"
    assert lines_of(bring(parts, sales(*twice), told)) == (2, 0, 1, 2)
    assert [number for number, _ in told] == [5, 6]


def test_what_the_writer_refuses_may_come_in_corrected(parts: Parts) -> None:
    huge = f"A1 TEA {10**9} 999999999999"
    assert lines_of(bring(parts, sales(huge), Told())) == (0, 0, 0, 1)
    assert lines_of(bring(parts, sales("A1 TEA 2 10"), Told())) == (1, 0, 0, 0)


def test_a_refused_invoice_leaves_no_product(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be it for one mistyped price among good lines, or for more lines than there are numbers."""
    monkeypatch.setattr(basket, "LINE_NUMBER_MAX", 3)
    huge = "A1 TEA 1 10", f"A1 CUP {10**9} 999999999999"
    long = [f"A2 NO{number} 1 10" for number in range(4)]
    told = Told()
    summary = bring(parts, sales(*huge, *long, *(f"A3 {line[3:]}" for line in long[:3])), told)
    assert (summary.sales, summary.products, summary.lines_refused) == (1, 3, 6)
    assert {code for _, code in told} == {"purchase_too_large"}


def test_what_is_in_the_book_adds_no_product(parts: Parts) -> None:
    """Also where what it sold is no product any more."""
    raw = sales("A1 TEA 2 10", "C3 TEA -1 10")
    bring(parts, raw, Told(), stock=True)
    retire = Command(RetireProductOperation(), RetireProduct(1))
    assert parts.door.ask_now(retire).refusal is None
    again = bring(parts, raw, Told(), stock=True)
    assert (lines_of(again), again.products) == ((0, 0, 2, 0), 0)
    # A sale that is not in the book still needs one.
    more = bring(parts, sales("A1 TEA 2 10", "A2 TEA 1 10"), Told(), stock=True)
    assert (lines_of(more), more.products) == ((1, 0, 1, 0), 1)
    assert_book_is_clean(parts.database)


def set_stock(parts: Parts, count: int) -> None:
    change(parts, ChangeProduct(1, stock=count))


def test_the_stock_is_the_same_whichever_way_the_sales_came_in(parts: Parts) -> None:
    lines = "A1 TEA 3 1", "A1 CUP {} 1", "A2 TEA 2 1", "C3 TEA -1 1", "A4 TEA {} 999999999999"
    spoilt, right = (
        sales(*(line.format(each) for line in lines[:-1]), lines[-1].format(10**9))
        for each in ("x", "4")
    )
    bring(parts, spoilt, Told(), stock=True)
    # The piece that came back is on the shelf; what was sold was never there.
    assert stocks(parts) == [1]
    assert bring(parts, right, Told(), stock=True).sales == 1
    assert stocks(parts) == [1, 0]
    assert_book_is_clean(parts.database)


def test_past_sales_take_nothing_from_a_shelf_that_was_counted(parts: Parts) -> None:
    lines = "A1 TEA 3 1", "A1 CUP {} 1", "A2 TEA 2 1", "C3 TEA -1 1"
    bring(parts, sales(*(line.format("x") for line in lines)), Told(), stock=True)
    set_stock(parts, 10)
    corrected = bring(parts, sales(*(line.format("4") for line in lines)), Told(), stock=True)
    assert (corrected.sales, stocks(parts)) == (1, [10, 0])
    assert_book_is_clean(parts.database)


@pytest.mark.parametrize("stock", [False, True])
def test_a_shelf_may_be_full_or_oversold(parts: Parts, stock: bool) -> None:
    bring(parts, sales("A1 TEA 1 1"), Told())
    for count in (0, 10**9):
        set_stock(parts, count)
        raw = sales("A2 TEA 7 1", f"A{3 + (count > 0)} TEA 1000000000 1")
        assert bring(parts, raw, Told(), stock=stock).lines_refused == 0
        assert stocks(parts) == [count]
    assert_book_is_clean(parts.database)


def items(parts: Parts) -> list[tuple[str, int, int]]:
    """List what was sold: by which name, for how much, with how much tax."""
    line = PURCHASE_ITEMS_TABLE.c
    columns = select(line.name, line.amount_minor, line.tax_minor)
    with parts.database.reader() as connection:
        found = connection.execute(columns.order_by(line.purchase_number, line.line))
        return [(name, amount, tax) for name, amount, tax in found]


def change(parts: Parts, changes: ChangeProduct) -> None:
    asked = Command(ChangeProductOperation(TERMS), changes)
    assert parts.door.ask_now(asked).refusal is None


TAXED = "reference,sku,name,quantity,unit_price,sold_on,tax_percent,tax_inclusive\n"


def test_a_past_sale_is_as_the_file_has_it(parts: Parts) -> None:
    """Whatever the product is called today, and however its price is meant. Source: R2, R3."""
    line = "{},TEA,{},1,10.00,2020-01-01,10,{}\n"
    raw = (TAXED + line.format("A1", "Tea", "no") + line.format("A2", "Old tea", "yes")).encode()
    bring(parts, raw, Told())
    change(parts, ChangeProduct(1, name="Tea of today", tax_inclusive=True))
    late = (TAXED + line.format("A3", "Older tea", "no") + line.format("A4", "", "")).encode()
    bring(parts, late, Told())
    assert items(parts) == [
        ("Tea", 1000, 100),
        ("Old tea", 909, 91),
        ("Older tea", 1000, 100),
        # What the file does not say is as the product is.
        ("Tea of today", 909, 91),
    ]
    assert_book_is_clean(parts.database)


def test_prices_with_and_without_tax_are_several_lines(parts: Parts) -> None:
    line = "A1,TEA,Tea,1,10.00,2020-01-01,10,{}\n"
    told = Told()
    mixed = "yes", "no", "yes"
    assert lines_of(bring(parts, (TAXED + "".join(map(line.format, mixed))).encode(), told)) == (
        (3, 0, 0, 0)
    )
    assert items(parts) == [("Tea", 1818, 182), ("Tea", 1000, 100)]
    for again, there in ((mixed, 3), (("", "", ""), 3), (("yes", "", "no"), 3), (("no",) * 3, 0)):
        raw = (TAXED + "".join(map(line.format, again))).encode()
        assert lines_of(bring(parts, raw, told)) == (0, 0, there, 3 - there)
    assert [code for _, code in told] == ["sale_line_unfit"] * 3
    strange = (TAXED + line.format("perhaps").replace("A1", "A2")).encode()
    assert lines_of(bring(parts, strange, told)) == (0, 0, 0, 1)
    assert told[-1] == (2, "field_invalid")


def written(*lines: str) -> bytes:
    """Write lines such as `A1 2026-01-01 c1 a@example.org` into a file; `-` is left empty."""
    head = "reference,sold_on,customer,customer_email,sku,quantity,unit_price\n"
    cells = (",".join("" if cell == "-" else cell for cell in line.split()) for line in lines)
    return (head + "".join(f"{row},S{place},1,10\n" for place, row in enumerate(cells))).encode()


@pytest.mark.parametrize(
    "second",
    [
        "A1 2026-01-02 c1 asha@example.org",
        "A1 2026-01-01 c2 asha@example.org",
        "A1 2026-01-01 c1 bela@example.org",
        "A1 2026-01-01 - bela@example.org",
    ],
)
def test_an_invoice_is_of_one_day_and_one_customer(parts: Parts, second: str) -> None:
    """Whole or not at all: nobody can tell whose it is, and it could never be put right."""
    first, other = "A1 2026-01-01 c1 asha@example.org", "A2 2026-01-02 c2 bela@example.org"
    told = Told()
    summary = bring(parts, written(first, second, other), told)
    assert lines_of(summary) == (1, 0, 0, 2)
    assert told == [(2, "sale_line_unfit"), (3, "sale_line_unfit")]
    corrected = bring(parts, written(first, first, other), Told())
    assert lines_of(corrected) == (2, 0, 1, 0)
    assert_book_is_clean(parts.database)


def test_what_one_line_leaves_out_the_others_say(parts: Parts) -> None:
    """Many programs write whose an invoice is into its first line, or its last, alone."""
    lines = "A1 2026-01-01 - -", "A1 2026-01-01 c1 Asha@example.org", "A1 2026-01-01 - -"
    same = "A1 2026-01-01 - asha@example.org"
    assert lines_of(bring(parts, written(*lines, same), Told())) == (4, 0, 0, 0)
    with parts.database.reader() as connection:
        found = connection.execute(select(PURCHASES_TABLE.c.customer_email)).scalars().all()
    assert found == ["Asha@example.org"]
    assert lines_of(bring(parts, written(*lines, same), Told())) == (0, 0, 4, 0)
