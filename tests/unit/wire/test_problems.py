"""Every refusal has one shape on the wire, and pydantic's errors become refusals."""

import json
from typing import Any

import pytest

from tallybook.kernel.refusal import REFUSALS, Refusal
from tallybook.wire.idempotency import REPLAYED, idempotency_key, respond
from tallybook.wire.paging import LIMIT_MAX, Page, page_of
from tallybook.wire.problems import ERRORS_SHOWN, problem_response, refusal_of_errors
from tallybook.wire.refusals import refusals
from tallybook.writer.model import Outcome
from tallybook.writer.transact import refused


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_of_the_catalogue_can_be_answered_with(code: str) -> None:
    response = problem_response(Refusal(code, param="x", details={"limit": 5, "status": "odd"}))
    shape = json.loads(bytes(response.body))
    assert response.status_code == shape["status"] == REFUSALS[code].status
    assert response.headers["content-type"] == "application/problem+json"
    assert (shape["code"], shape["param"], shape["limit"]) == (code, "x", 5)
    assert ("retry-after" in response.headers) == (
        REFUSALS[code].retry and response.status_code == 503
    )


def error(kind: str, *place: Any) -> dict[str, Any]:
    return {"type": kind, "loc": place, "msg": "it is odd"}


def test_the_first_fault_is_the_refusal_and_all_are_listed() -> None:
    refusal = refusal_of_errors([error("missing", "a", 0, "b"), error("date_invalid", "d")])
    assert (refusal.code, refusal.param) == ("field_invalid", "a.0.b")
    assert refusal.details["problem"] == "it is missing"
    assert refusal.details["errors"] == [
        {"param": "a.0.b", "problem": "it is missing"},
        {"param": "d", "problem": "it is odd"},
    ]
    assert refusal_of_errors([error("date_invalid", "as_of")]).code == "date_invalid"


def test_faults_are_bounded() -> None:
    refusal = refusal_of_errors([error("extra_forbidden", "x" * 10_000) for _ in range(5_000)])
    listed = refusal.details["errors"]
    assert isinstance(listed, list)
    assert len(listed) == ERRORS_SHOWN
    assert len(str(refusal.param)) == 100


# -- keys and outcomes -----------------------------------------------------------------------------


def test_an_outcome_goes_out_as_it_is_stored() -> None:
    first = respond(Outcome(201, '{"a":1}'))
    again = respond(Outcome(201, '{"a":1}', replayed=True))
    assert first.body == again.body == b'{"a":1}'
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    empty = respond(Outcome(204, "null"))
    assert (empty.status_code, empty.body) == (204, b"")
    no = respond(refused(Refusal("busy")))
    assert (no.status_code, no.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([], None),
        (["k"], "k"),
        (["a b"], "a b"),
        (["x" * 255], "x" * 255),
        (["x" * 256], "key_invalid"),
        ([""], "key_invalid"),
        ([" a"], "key_invalid"),
        (["a "], "key_invalid"),
        (["a\x7f"], "key_invalid"),
        (["\xe9"], "key_invalid"),
        (["a", "a"], "key_invalid"),
    ],
)
def test_a_key_is_one_printable_text(values: list[str], code: str | None) -> None:
    headers = [(b"idempotency-key", value.encode("latin-1")) for value in values]
    if code == "key_invalid":
        with pytest.raises(Exception, match=code):
            idempotency_key(headers)
    else:
        assert idempotency_key(headers) == code


# -- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(6))
def test_a_page_tells_whether_more_follow(size: int) -> None:
    page = Page(limit=3)
    answer = page_of(list(range(size))[: page.limit + 1], page, lambda row: row)
    assert answer == {"data": list(range(min(size, 3))), "has_more": size > 3}
    assert page.limit < LIMIT_MAX


@pytest.mark.parametrize("cursor", ["", "7", "adv_" + "0" * 32, "cus_" + "0" * 31, "cus_\x00"])
def test_a_cursor_is_an_id_of_its_kind(cursor: str) -> None:
    with pytest.raises(Exception, match="field_invalid"):
        Page(starting_after=cursor).after("cus")
    assert Page(starting_after="cus_" + "0" * 32).after("cus") == "0" * 32
    assert Page().after("cus") is None


@pytest.mark.parametrize("cursor", ["", "-1", "1.5", "x", "\u0661", "9" * 19])
def test_a_numbers_cursor_is_a_number(cursor: str) -> None:
    with pytest.raises(Exception, match="field_invalid"):
        Page(starting_after=cursor).after_number()
    assert Page(starting_after="7").after_number() == 7
    assert Page().after_number() is None


# -- descriptions ----------------------------------------------------------------------------------


def test_refusals_of_one_status_are_described_together() -> None:
    mine = refusals("email_taken", "customer_not_found")
    both = refusals("bank_account_taken", also=mine)
    assert both[409]["x-refusals"] == ["bank_account_taken", "email_taken"]
    assert both[404] == mine[404]
    assert mine[409]["x-refusals"] == ["email_taken"], "what was given is not changed"
