"""Advances over real HTTP, on both databases, with a Processor behind."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tallybook.processor.model import Result
from tests.billing import API, NUMBER, Billing, lines, serve_billing
from tests.serving import Answer

UNREGISTERED = "GB29NWBK60161331926819"


@pytest.fixture
def billing(book_url: str, tmp_path: Path) -> Iterator[Billing]:
    with serve_billing(book_url, tmp_path) as served:
        yield served


@pytest.fixture
def on_sqlite(sqlite_book_url: str, tmp_path: Path) -> Iterator[Billing]:
    with serve_billing(sqlite_book_url, tmp_path) as served:
        yield served


def ask(billing: Billing, path: str = "/advances", key: str | None = None, **fields: Any) -> Answer:
    body = {"dst_bank_account": NUMBER, "amount": "120.00", **fields}
    return billing.call(
        path, {name: value for name, value in body.items() if value != "-"}, key=key
    )


# -- pay out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/advances", "/perform_advance"])
def test_an_advance_is_paid_out_and_planned(billing: Billing, path: str) -> None:
    customer = billing.customer()

    made = ask(billing, path, amount=1000)

    assert made.status == 201
    body = made.json()
    (arrived,) = billing.arrivals()
    assert body["transaction_id"] == arrived.transaction_id
    assert arrived.amount_minor == 100_000
    assert (body["customer_id"], body["status"], body["amount"]) == (customer, "pending", "1000.00")
    assert [row["due_on"] for row in body["plan"]][:2] == ["2026-03-09", "2026-03-16"]
    assert [row["amount"] for row in body["plan"]] == ["83.34"] * 4 + ["83.33"] * 8
    assert billing.read(f"/advances/{body['id']}") == body
    assert billing.read("/advances")["data"] == [body]


def test_terms_are_those_that_were_asked_for(billing: Billing) -> None:
    billing.customer()
    made = billing.advance(
        "10", installments=3, interval_days=30, fee="0.50", effective_on="2026-03-01"
    )
    assert (made["fee"], made["effective_on"]) == ("0.50", "2026-03-01")
    assert [(row["amount"], row["due_on"]) for row in made["plan"]] == [
        ("3.50", "2026-03-31"),
        ("3.50", "2026-04-30"),
        ("3.50", "2026-05-30"),
    ]


def test_the_same_request_twice_is_one_transfer(billing: Billing) -> None:
    billing.customer()
    first = ask(billing, key="k1")
    again = ask(billing, "/perform_advance", key="k1", dst_bank_account=NUMBER.lower())
    other = ask(billing, key="k1", amount="121")

    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status, other.code) == (422, "key_reused_with_other_input")
    assert len(billing.arrivals()) == 1


def test_fifty_copies_at_once_are_one_transfer(billing: Billing) -> None:
    billing.customer()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(billing, key="same"), range(50)))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert len(billing.arrivals()) == 1
    assert len(billing.read("/advances")["data"]) == 1


def test_requests_without_a_key_are_each_their_own(billing: Billing) -> None:
    billing.customer()
    assert ask(billing).json()["transaction_id"] != ask(billing).json()["transaction_id"]
    assert len(billing.arrivals()) == 2


def test_the_limit_holds_when_many_ask_at_once(billing: Billing) -> None:
    billing.customer(credit_limit="500")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(billing, amount="100"), range(20)))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [409] * 15
    assert {answer.code for answer in answers if answer.status == 409} == {"customer_not_eligible"}
    assert len(billing.arrivals()) == 5


# -- what the Processor answers --------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost_after", "lost_before", "error_after", "broken_reply"])
def test_an_unknown_outcome_is_accepted_and_waits(
    book_url: str, tmp_path: Path, fault: str
) -> None:
    with serve_billing(book_url, tmp_path, faults=f"{fault}=1") as billing:
        billing.customer()
        made, again = ask(billing, key="k"), ask(billing, key="k")

        assert (made.status, again.status) == (202, 202)
        assert made.body == again.body
        body = made.json()
        assert (body["transaction_id"], body["status"]) == (None, "pending")
        assert len(billing.arrivals()) == 1
        (item,) = billing.items()
        assert (item["kind"], item["subject_id"]) == ("unknown", body["id"])
        assert item["actions"] == ["confirm_executed", "confirm_not_executed"]
        assert billing.read(f"/advances/{body['id']}") == body


@pytest.mark.parametrize("fault", ["rejected", "refused"])
def test_a_refused_transfer_is_refused_and_nothing_is_owed(
    book_url: str, tmp_path: Path, fault: str
) -> None:
    with serve_billing(book_url, tmp_path, faults=f"{fault}=1") as billing:
        customer = billing.customer(credit_limit="120")
        made, again = ask(billing, key="k"), ask(billing, key="k")

        assert (made.status, made.code) == (502, "processor_rejected")
        assert again.body == made.body
        assert again.headers["idempotency-replayed"] == "true"
        assert len(billing.arrivals()) == (fault == "rejected")
        (shown,) = billing.read(f"/advances?customer_id={customer}")["data"]
        assert shown["id"] == made.json()["advance_id"]
        assert (shown["status"], shown["outstanding"], shown["plan"]) == ("failed", "0.00", [])
        assert billing.read(f"/customers/{customer}/balance")["data"] == []
        assert billing.items() == []
        # The whole limit is free again.
        assert ask(billing).code == "processor_rejected"


def test_an_id_given_before_is_no_answer(book_url: str, tmp_path: Path) -> None:
    with serve_billing(book_url, tmp_path, faults="same_id=1") as billing:
        billing.customer()
        first, second = ask(billing), ask(billing)
        assert (first.status, second.status) == (201, 202)
        assert second.json()["transaction_id"] is None
        (item,) = billing.items()
        assert (item["kind"], item["subject_id"]) == ("collision", second.json()["id"])


# -- bad input -------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown account": ({"dst_bank_account": UNREGISTERED}, "bank_account_not_found"),
    "no number at all": ({"dst_bank_account": "!"}, "bank_account_not_found"),
    "number of another script": ({"dst_bank_account": "١٢٣٤٥٦٧٨"}, "bank_account_not_found"),
    "account missing": ({"dst_bank_account": "-"}, "field_invalid"),
    "amount missing": ({"amount": "-"}, "field_invalid"),
    "zero": ({"amount": 0}, "amount_invalid"),
    "negative": ({"amount": "-1"}, "amount_invalid"),
    "text with exponent": ({"amount": "1e400"}, "amount_invalid"),
    "text NaN": ({"amount": "NaN"}, "amount_invalid"),
    "true": ({"amount": True}, "amount_invalid"),
    "null": ({"amount": None}, "amount_invalid"),
    "a list": ({"amount": [1]}, "amount_invalid"),
    "three decimals": ({"amount": "12.345"}, "amount_invalid"),
    "beyond all bounds": ({"amount": 10**13 + 1}, "amount_invalid"),
    "beyond all digits": ({"amount": "9" * 41}, "amount_invalid"),
    "bad fee": ({"fee": "-0.01"}, "amount_invalid"),
    "unknown currency": ({"currency": "XXX"}, "currency_unknown"),
    "no currency": ({"currency": "usdollar"}, "field_invalid"),
    "currency not served": ({"currency": "EUR"}, "currency_not_served"),
    "unknown field": ({"rate": 3}, "field_invalid"),
    "no installments": ({"installments": 0}, "field_invalid"),
    "installments as text": ({"installments": "12"}, "field_invalid"),
    "installments true": ({"installments": True}, "field_invalid"),
    "too many installments": ({"installments": 10**9}, "field_invalid"),
    "interval of no day": ({"interval_days": 0}, "field_invalid"),
    "too small to split": ({"amount": "0.11"}, "advance_too_small"),
    "tomorrow": ({"effective_on": "2026-03-03"}, "date_in_future"),
    "too long ago": ({"effective_on": "2026-02-22"}, "date_too_old"),
    "no date": ({"effective_on": "2026-02-30"}, "date_invalid"),
}


def test_bad_input_is_refused_and_changes_nothing(billing: Billing) -> None:
    billing.customer()
    for case, (fields, code) in BAD.items():
        refused = ask(billing, **fields)
        assert refused.code == code, case
        assert refused.status == (404 if code == "bank_account_not_found" else 422), case
        assert NUMBER.replace(" ", "").encode() not in refused.body, case
    assert billing.read("/advances")["data"] == []
    assert billing.arrivals() == []


def test_bodies_that_are_none_are_refused(on_sqlite: Billing) -> None:
    on_sqlite.customer()
    path = f"{API}/advances"
    good = json.dumps({"dst_bank_account": NUMBER, "amount": "1"})
    for content, code in {
        good.replace('"1"', "NaN"): "body_malformed",
        good.replace('"1"', "1e400"): "amount_invalid",
        good.replace('"1"', "12.345"): "amount_invalid",
        '{"amount": "1", "amount": "2"}': "body_malformed",
        "": "body_malformed",
        "[]": "field_invalid",
        "[" * 100_000: "body_too_large",
        good[:-1] + " " * 10_000_000 + "}": "body_too_large",
    }.items():
        assert on_sqlite.post(path, content=content.encode()).code == code, content[:80]
    for kind in ("text/plain", "application/xml", "application/json; charset=latin-1"):
        refused = on_sqlite.post(path, content=good.encode(), headers={"Content-Type": kind})
        assert (refused.status, refused.code) == (415, "content_type_unsupported")
    assert on_sqlite.post(f"{path}?dry_run=1", content=good.encode()).code == "field_invalid"
    assert on_sqlite.arrivals() == []


@pytest.mark.parametrize(
    ("reason", "limit", "prepare"),
    [
        ("customer_suspended", None, "suspended"),
        ("credit_limit_exceeded", "100", None),
    ],
)
def test_who_may_not_have_one_is_told_why(
    on_sqlite: Billing, reason: str, limit: str | None, prepare: str | None
) -> None:
    customer = on_sqlite.customer(**({"credit_limit": limit} if limit else {}))
    if prepare:
        on_sqlite.put(f"{API}/customers/{customer}", {"status": prepare})
    refused = ask(on_sqlite, key="k")
    assert (refused.status, refused.code) == (409, "customer_not_eligible")
    assert refused.json()["reason"] == reason
    assert ask(on_sqlite, key="k").body == refused.body
    assert on_sqlite.arrivals() == []


def test_amounts_out_of_bounds_are_told(sqlite_book_url: str, tmp_path: Path) -> None:
    with serve_billing(sqlite_book_url, tmp_path, advance_min="50", advance_max="200") as billing:
        billing.customer()
        for amount in ("49.99", "200.01"):
            refused = ask(billing, amount=amount)
            assert refused.json()["reason"] == "amount_out_of_bounds"
        assert ask(billing, amount="200").status == 201


# -- read ------------------------------------------------------------------------------------------


def test_lists_are_filtered_and_paged(on_sqlite: Billing) -> None:
    asha, bela = on_sqlite.customer(), on_sqlite.customer("12345678", "bela")
    mine = [on_sqlite.advance()["id"] for _ in range(3)]
    theirs = on_sqlite.advance(number="12345678")["id"]

    def idents(query: str) -> list[str]:
        return [row["id"] for row in on_sqlite.read(f"/advances{query}")["data"]]

    assert idents("") == [theirs, *reversed(mine)]
    assert idents(f"?customer_id={asha}") == mine[::-1]
    assert idents(f"?customer_id={bela}&status=pending") == [theirs]
    assert idents("?status=active") == []
    first = on_sqlite.read("/advances?limit=3")
    assert first["has_more"]
    assert idents(f"?limit=3&starting_after={first['data'][-1]['id']}") == [mine[0]]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/advances?customer_id=7", 422, "field_invalid"),
        ("/advances?status=lost", 422, "field_invalid"),
        ("/advances?starting_after=cus_1", 422, "field_invalid"),
        ("/advances/7", 404, "id_invalid"),
        ("/advances/adv_" + "0" * 32, 404, "advance_not_found"),
    ],
)
def test_what_is_not_there_is_not_found(
    on_sqlite: Billing, path: str, status: int, code: str
) -> None:
    refused = on_sqlite.get(API + path)
    assert (refused.status, refused.code) == (status, code)


def test_a_customer_sees_what_is_owed_and_in_flight(billing: Billing) -> None:
    customer = billing.customer()
    made = billing.advance()

    def line() -> dict[str, str]:
        (found,) = billing.read(f"/customers/{customer}/balance")["data"]
        return {name: found[name] for name in ("product", "owed", "in_flight", "credit")}

    assert line() == {
        "product": "advances",
        "owed": "120.00",
        "in_flight": "120.00",
        "credit": "0.00",
    }
    billing.run_days(7)
    assert line() == {
        "product": "advances",
        "owed": "120.00",
        "in_flight": "10.00",
        "credit": "0.00",
    }
    billing.run_days(1)
    assert line() == {
        "product": "advances",
        "owed": "110.00",
        "in_flight": "0.00",
        "credit": "0.00",
    }
    movements = billing.read(f"/customers/{customer}/history")["data"]
    assert {line["subject_id"] for row in movements for line in row["lines"]} == {made["id"]}


# -- rulings ---------------------------------------------------------------------------------------


def test_a_ruling_shows_the_whole_advance_with_its_attempts(billing: Billing) -> None:
    billing.customer()
    ident = billing.activate()["id"]
    billing.run_days(7)

    path = f"/advances/{ident}/cancellation"
    ruled = billing.call(path, {"reason": "moved away", "forgive": True}, key="c")
    again = billing.call(path, {"reason": "moved away", "forgive": True}, key="c")

    assert ruled.status == 200
    assert again.body == ruled.body
    body = ruled.json()
    assert body == billing.read(f"/advances/{ident}")
    assert (body["status"], body["outstanding"]) == ("cancelled", "0.00")
    assert [row["status"] for row in body["plan"]] == ["succeeded"] + ["cancelled"] * 11
    assert body["plan"][0]["attempts"][0]["result"] == "success"
    assert body["transaction_id"]
    assert billing.call(path, {"reason": "again"}).code == "advance_state_wrong"


def test_a_cancelled_advance_may_stay_owed_and_be_written_off(billing: Billing) -> None:
    billing.customer()
    ident = billing.activate()["id"]
    cancelled = billing.call(f"/advances/{ident}/cancellation", {"reason": "disputed"})
    assert (cancelled.json()["status"], cancelled.json()["outstanding"]) == ("cancelled", "120.00")
    written = billing.call(f"/advances/{ident}/write-off", {"reason": "gone"})
    assert (written.json()["status"], written.json()["outstanding"]) == ("written_off", "0.00")


def test_an_advance_in_default_waits_for_a_person(book_url: str, tmp_path: Path) -> None:
    with serve_billing(book_url, tmp_path, faults="fail=1", max_attempts=1) as billing:
        customer = billing.customer()
        ident = billing.activate()["id"]
        billing.run_days(7)
        assert billing.read(f"/advances/{ident}")["status"] == "in_default"
        assert ask(billing).json()["reason"] == "advance_in_default"
        (item,) = billing.items()
        assert (item["kind"], item["subject_id"], item["customer_id"]) == (
            "default",
            ident,
            customer,
        )

        path = f"/operator-items/{item['id']}/resolution"
        wrong = billing.call(path, {"action": "refund", "reason": "x"})
        ruled = billing.call(path, {"action": "resume", "reason": "paid me", "by": "ann"}, key="r")
        again = billing.call(path, {"action": "resume", "reason": "paid me", "by": "ann"}, key="r")
        late = billing.call(path, {"action": "cancel", "reason": "x"})

        assert (wrong.status, wrong.code) == (409, "action_not_allowed")
        assert ruled.status == 200
        assert again.body == ruled.body
        assert (late.status, late.code) == (409, "operator_item_resolved")
        shown = ruled.json()
        assert (shown["status"], shown["action"], shown["reason"], shown["resolved_by"]) == (
            "resolved",
            "resume",
            "paid me",
            "ann",
        )
        assert billing.items("?status=resolved") == [shown]
        assert billing.read(f"/advances/{ident}")["status"] == "active"
        assert ask(billing).status == 201


@pytest.mark.parametrize("verb", ["cancellation", "resumption", "write-off"])
def test_rulings_know_what_they_are_about(on_sqlite: Billing, verb: str) -> None:
    on_sqlite.customer()
    nobody = on_sqlite.call(f"/advances/adv_{'0' * 32}/{verb}", {"reason": "x"})
    assert (nobody.status, nobody.code) == (404, "advance_not_found")
    ident = on_sqlite.advance()["id"]
    early = on_sqlite.call(f"/advances/{ident}/{verb}", {"reason": "x"})
    assert (early.status, early.code) == (409, "advance_state_wrong")
    assert on_sqlite.call(f"/advances/{ident}/{verb}", {}).code == "field_invalid"
    assert on_sqlite.call(f"/advances/{ident}/{verb}", {"reason": " "}).code == "field_invalid"


# -- credit ----------------------------------------------------------------------------------------


def returned_after_collecting(billing: Billing) -> tuple[str, str]:
    """Collect a row, then have the payout taken back: what was collected is credit now."""
    customer = billing.customer()
    made = billing.activate()
    billing.run_days(7)
    answer = billing.report(lines(f"{made['transaction_id']},fail"))
    assert answer.status == 201, answer
    return customer, made["id"]


def credit_of(billing: Billing, customer: str) -> str:
    found = billing.read(f"/customers/{customer}/balance")["data"]
    return next((line["credit"] for line in found if line["product"] == "credit"), "0.00")


def test_credit_is_used_for_the_oldest_advance(billing: Billing) -> None:
    customer, gone = returned_after_collecting(billing)
    assert billing.read(f"/advances/{gone}")["status"] == "failed"
    assert credit_of(billing, customer) == "10.00"
    owed = billing.advance()
    path = f"/customers/{customer}/credit-applications"
    early = billing.call(path, {"amount": 3, "reason": "x"})
    assert (early.status, early.code) == (404, "subject_not_found")
    billing.run_days(1)

    named = billing.call(path, {"amount": 3, "subject_id": owed["id"], "reason": "x"}, key="a")
    again = billing.call(path, {"amount": 3, "subject_id": owed["id"], "reason": "x"}, key="a")
    oldest = billing.call(path, {"amount": "4.50", "reason": "x"})

    assert (named.status, oldest.status) == (201, 201)
    assert named.body == again.body
    assert oldest.json() == {
        "amount": "4.50",
        "currency": "USD",
        "subject_id": owed["id"],
        "credit_left": "2.50",
    }
    assert billing.read(f"/advances/{owed['id']}")["outstanding"] == "112.50"
    for fields, code in (
        ({"amount": "2.51"}, "credit_insufficient"),
        ({"amount": 1, "subject_id": gone}, "subject_not_found"),
        ({"amount": 1, "subject_id": "loan_1"}, "subject_not_found"),
        ({"amount": 0}, "amount_invalid"),
    ):
        assert billing.call(path, {"reason": "x", **fields}).code == code
    nobody = billing.call(
        f"/customers/cus_{'0' * 32}/credit-applications", {"amount": 1, "reason": "x"}
    )
    assert nobody.code == "customer_not_found"


def test_no_more_credit_is_used_than_is_owed(billing: Billing) -> None:
    customer, _ = returned_after_collecting(billing)
    owed = billing.advance("5.00", installments=1)
    billing.run_days(1)
    path = f"/customers/{customer}/credit-applications"
    refused = billing.call(path, {"amount": 6, "subject_id": owed["id"], "reason": "x"})
    assert (refused.status, refused.code) == (409, "subject_owes_less")
    assert refused.json()["owed"] == "5.00"


def test_credit_is_paid_out_once(billing: Billing) -> None:
    customer, _ = returned_after_collecting(billing)
    before = len(billing.arrivals())
    path = f"/customers/{customer}/credit-payouts"
    for fields, code in (
        ({"amount": "10.01"}, "credit_insufficient"),
        ({"amount": 1, "currency": "EUR"}, "currency_not_served"),
        ({"amount": 1, "bank_account_id": "bac_1"}, "bank_account_not_found"),
        ({"amount": -1}, "amount_invalid"),
    ):
        assert billing.call(path, {"reason": "x", **fields}).code == code

    paid = billing.call(path, {"amount": 10, "reason": "asked for it"}, key="p")
    again = billing.call(path, {"amount": 10, "reason": "asked for it"}, key="p")

    assert paid.status == 201
    assert again.body == paid.body
    assert len(billing.arrivals()) == before + 1
    assert billing.arrivals()[-1].transaction_id == paid.json()["transaction_id"]
    assert credit_of(billing, customer) == "0.00"


def test_an_excess_is_refunded_once(billing: Billing) -> None:
    customer, gone = returned_after_collecting(billing)
    before = len(billing.arrivals())
    (item,) = billing.items()
    assert (item["kind"], item["amount"], item["currency"]) == ("excess", "10.00", "USD")
    assert (item["subject_id"], item["actions"]) == (gone, ["refund", "dismiss"])
    path = f"/operator-items/{item['id']}/resolution"
    body = {"action": "refund", "reason": "theirs", "by": "ann"}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: billing.call(path, body, key=f"r{n % 4}"), range(8)))

    assert sorted(answer.status for answer in answers) == [201] * 2 + [409] * 6
    assert len(billing.arrivals()) == before + 1
    assert credit_of(billing, customer) == "0.00"
    (closed,) = billing.items("?kind=excess")
    assert (closed["action"], closed["resolved_by"]) == ("refund", "ann")


def test_a_refund_that_is_refused_asks_a_person_again(book_url: str, tmp_path: Path) -> None:
    with serve_billing(book_url, tmp_path) as billing:
        customer, _ = returned_after_collecting(billing)
        billing.simulator._odds = type(billing.simulator._odds)(
            type(billing.simulator.faults)(rejected=1), 7
        )
        (item,) = billing.items()
        path = f"/operator-items/{item['id']}/resolution"
        refused = billing.call(path, {"action": "refund", "reason": "theirs"})
        assert (refused.status, refused.code) == (502, "processor_rejected")
        assert credit_of(billing, customer) == "10.00"
        (waiting,) = billing.items()
        assert (waiting["kind"], waiting["amount"]) == ("excess", "10.00")
        assert waiting["id"] != item["id"]


def test_the_simulator_and_the_book_agree(billing: Billing) -> None:
    billing.customer()
    made = billing.activate()
    billing.run_days(90)
    done = billing.read(f"/advances/{made['id']}")
    assert (done["status"], done["outstanding"], done["collected"]) == (
        "completed",
        "0.00",
        "120.00",
    )
    truth = billing.simulator.truth()
    assert {call.final_result for call in truth.transfers} == {Result.SUCCESS}
    known = {attempt["transaction_id"] for row in done["plan"] for attempt in row["attempts"]}
    assert known | {done["transaction_id"]} == {call.transaction_id for call in truth.transfers}
