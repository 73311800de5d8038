"""Tax per line, cash rounding, and what is refused before it is counted."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.kernel.refusal import Refused
from tallybook.retail.rules.catalogue import clean_product_name, clean_sku, fold_name
from tallybook.retail.rules.totals import (
    cash_rounding_of,
    line_total,
    round_cash,
    show_tax_percent,
    tax_ppm_of,
)


@pytest.mark.parametrize(
    "percent",
    [-1, 101, 10**9, "1e9", "12.50001", "-1", "", " 12", "१२", "NaN", Decimal("NaN"),
     Decimal("1e9"), Decimal("-0.5"), Decimal("100.0001"), True, None, 10**400],
)  # fmt: skip
def test_a_wrong_tax_percent_is_refused(percent: object) -> None:
    with pytest.raises(Refused) as refused:
        tax_ppm_of(percent)
    assert refused.value.refusal.code == "tax_percent_invalid"


@pytest.mark.parametrize(
    ("percent", "shown"),
    [(0, "0"), (12.5, None), ("12.5", "12.5"), (Decimal("12.50"), "12.5"), ("100.0000", "100"),
     ("9.975", "9.975"), ("0.0001", "0.0001"), (7, "7")],
)  # fmt: skip
def test_a_tax_percent_is_exact(percent: object, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(Refused):
            tax_ppm_of(percent)
    else:
        assert show_tax_percent(tax_ppm_of(percent)) == shown


@given(st.integers(0, 1_000_000))
def test_a_shown_percent_reads_back(tax_ppm: int) -> None:
    assert tax_ppm_of(show_tax_percent(tax_ppm)) == tax_ppm


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(0, 1_000_000), st.booleans())
def test_a_line_is_its_price_and_its_tax(
    price: int, quantity: int, tax_ppm: int, inclusive: bool
) -> None:
    amount, tax = line_total(price, quantity, tax_ppm, tax_inclusive=inclusive)
    assert amount >= 0
    assert tax >= 0
    if inclusive:
        assert amount + tax == price * quantity
        # Exactly half up: twice the distance from the exact tax is at most one.
        assert abs(2 * (tax * (10**6 + tax_ppm) - price * quantity * tax_ppm)) <= 10**6 + tax_ppm
    else:
        assert amount == price * quantity
        assert abs(2 * (tax * 10**6 - amount * tax_ppm)) <= 10**6


def test_the_assignments_example_is_rounded_down() -> None:
    rounding = cash_rounding_of("floor_to_unit", "INR")
    assert round_cash(2357_60, rounding) == 2357_00
    assert round_cash(2357_60, cash_rounding_of("none", "INR")) == 2357_60


@given(st.integers(0, 10**9), st.sampled_from(["none", "floor_to_unit", "nearest_5", "nearest_7"]))
def test_rounding_never_goes_back_and_stays_near(net: int, policy: str) -> None:
    rounding = cash_rounding_of(policy, "USD")
    rounded = round_cash(net, rounding)
    assert rounded >= 0
    assert abs(rounded - net) < rounding.unit_minor
    assert round_cash(net + 1, rounding) >= rounded
    assert round_cash(rounded, rounding) == rounded


@pytest.mark.parametrize("policy", ["", "floor", "nearest_0", "nearest_-5", "nearest_5.5", "NONE"])
def test_an_unknown_policy_is_refused(policy: str) -> None:
    with pytest.raises(Refused) as refused:
        cash_rounding_of(policy, "USD")
    assert refused.value.refusal.code == "cash_rounding_invalid"


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 256, "x" * 10_000, "a\x00b", "a\nb", "\u2028", "a\x1fb", "\ud800"]
)
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        clean_product_name(name)
    assert refused.value.refusal.code == "product_name_invalid"


@pytest.mark.parametrize("name", ["चाय", "茶", "شاي", "Thé", "x" * 255, "½ kg <b>tea</b> & co"])
def test_a_name_of_any_script_passes(name: str) -> None:
    assert fold_name(clean_product_name(f" {name} ")) == fold_name(name)


@pytest.mark.parametrize("sku", ["", " ", "x" * 65, "a\tb", "x" * 10_000])
def test_a_wrong_sku_is_refused(sku: str) -> None:
    with pytest.raises(Refused) as refused:
        clean_sku(sku)
    assert refused.value.refusal.code == "sku_invalid"


def test_a_name_has_something_to_see_and_a_sku_nothing_unseen() -> None:
    """Joiners belong to some scripts and stay between letters; alone they are no name."""
    joined = "\u0915\u094d\u200d\u0937"
    assert clean_product_name(joined) == joined
    for nothing in ("\u200b", "\u200b \u200d", "\ufeff"):
        with pytest.raises(Refused):
            clean_product_name(nothing)
    for sku in ("\u200b", "A\u200b1", "A\u202e1"):
        with pytest.raises(Refused):
            clean_sku(sku)
