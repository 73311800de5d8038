"""What people and their programs say of bills over HTTP: currencies, links, times of receipt."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tallybook.bills.operations.recording import RECORD_MESSAGES, RecordMessages
from tallybook.bills.operations.taking import Intake, RawText, take_text
from tallybook.bills.reading.reader import shipped_reader
from tallybook.writer.model import Command
from tests.http.test_bills import customer, listed, send, text
from tests.serving import Served

BILL = {"amount": "500.00", "due_on": "2026-02-25", "sent_at": "2026-02-10T08:00:00Z"}


def move(served: Served, who: str, amount: str, **more: Any) -> Any:
    body = {"customer_id": who, "amount": amount, "happened_at": "2026-02-20T07:30:00Z", **more}
    made = served.post("/api/v1/transactions", body)
    assert made.status == 201, made.body
    return made.json()


def link(served: Served, transaction: str, bill: str) -> Any:
    return served.post(f"/api/v1/transactions/{transaction}/link", {"bill_id": bill})


def owed(served: Served) -> dict[str, dict[str, str]]:
    """Sum the ledger's balances by the first word of the account, per currency."""
    sums: dict[str, dict[str, str]] = {}
    for row in served.get("/api/v1/ledger/accounts?limit=100").json()["data"]:
        if row["balance"].strip("0.-"):
            sums.setdefault(row["currency"], {})[row["name"].split(":")[0]] = row["balance"]
    return sums


# -- currencies ------------------------------------------------------------------------------------


def test_a_bill_without_a_currency_is_the_same_number_in_another(served: Served) -> None:
    who = customer(served)
    first = send(served, who, "GENERATION", amount="5000", due_on="2026-03-20", currency=None)
    assert (first["read"]["amount"], first["read"]["currency"]) == ("5000.00", None)
    send(served, who, "GENERATION", "GAS_BILL", amount="7000", currency="JPY")
    shown = {bill["amount"]: bill["currency"] for bill in listed(served, "bills", who)}
    assert shown == {"5000": "JPY", "7000": "JPY"}
    made = move(served, who, "-7000")
    assert (made["amount"], made["currency"]) == ("-7000", "JPY")
    assert {row["currency"] for row in listed(served, "transactions", who)} == {"JPY"}


def test_a_movement_in_another_currency_leaves_a_number_what_it_is(served: Served) -> None:
    """What names no currency came with the installation's decimals, not with the movement's."""
    who = customer(served)
    send(served, who, "GENERATION", amount="5000", due_on="2026-03-20", currency=None)
    seen = {"currency": None, "happened_at": "2026-02-21T07:30:00Z"}
    move(served, who, "-60.00", **seen)
    made = move(served, who, "-70", currency="JPY")
    assert (made["amount"], made["currency"]) == ("-70", "JPY")
    rows = [(row["amount"], row["currency"]) for row in listed(served, "transactions", who)]
    assert rows == [("-70", "JPY"), ("-60", "JPY")]
    for _ in range(2):
        (bill,) = listed(served, "bills", who)
        assert (bill["amount"], bill["currency"]) == ("5000", "JPY")
        assert owed(served) == {"JPY": {"payable": "-5000", "expense": "5000"}}
        text(served, who, "Hello there")


def test_a_number_is_shown_with_the_installations_decimals(served_on_sqlite: Served) -> None:
    served = served_on_sqlite
    served.parts.settings.currency = "JPY"
    who = customer(served)
    made = send(served, who, "GENERATION", amount="5000", currency=None)
    assert made["read"]["amount"] == "5000"
    (message,) = listed(served, "messages", who)
    assert message["read"]["amount"] == "5000"


@pytest.mark.parametrize(
    ("said", "amount", "currency"),
    [({}, "499.50", "INR"), ({"currency": "JPY"}, "499", "JPY")],
    ids=["the text's", "the person's"],
)
def test_a_corrected_amount_is_in_the_persons_currency_else_in_the_texts(
    served_on_sqlite: Served, said: dict[str, str], amount: str, currency: str
) -> None:
    served = served_on_sqlite
    served.parts.settings.currency = "JPY"
    who = customer(served)
    made = text(
        served, who, "Airtel bill Rs 499 for 9876543210 due 31-11-2026", sender="VM-AIRTEL"
    ).json()
    assert (made["status"], made["read"]["currency"]) == ("review", "INR")
    path = f"/api/v1/review-items/{made['id']}/resolution"
    reading = {
        "transaction_type": "BILL_GENERATION", "account_type": "MOBILE_BILL", "amount": amount,
        "due_on": "2026-03-30", **said,
    }  # fmt: skip
    for wrong in ("-1", "1.005", "x"):
        assert served.post(path, {**reading, "amount": wrong}).code == "amount_invalid"
    assert served.post(path, {**reading, "currency": "XXX"}).code == "currency_unknown"
    above = served.post(path, {**reading, "minimum_due": "9999"})
    assert (above.code, above.json()["param"]) == ("field_invalid", "minimum_due")
    assert served.post(path, reading).status == 200
    (bill,) = listed(served, "bills", who)
    assert (bill["amount"], bill["currency"]) == (amount, currency)


def test_a_payment_in_another_currency_waits_and_can_not_be_linked(served: Served) -> None:
    who = customer(served)
    bill = send(served, who, "GENERATION", **BILL, account_number="1", issuer="North")["bill_id"]
    paid = send(
        served, who, "CONFIRMATION", amount="500.00", currency="EUR", account_number="1",
        issuer="North",
    )  # fmt: skip
    (shown,) = listed(served, "bills", who)
    assert shown["paid"] == "0.00"
    refused = link(served, paid["transaction_id"], bill)
    assert (refused.status, refused.code) == (409, "bill_currency_differs")
    assert refused.json()["currency"] == "INR"
    assert owed(served) == {
        "INR": {"expense": "500.00", "payable": "-500.00"},
        "EUR": {"prepaid": "500.00", "paid-from": "-500.00"},
    }


def test_a_movement_that_names_no_currency_may_be_linked_to_a_bill_in_any(served: Served) -> None:
    who = customer(served)
    bill = send(served, who, "GENERATION", **BILL)["bill_id"]
    send(served, who, "GENERATION", "GAS_BILL", amount="7000", currency="JPY")
    made = move(served, who, "-500")
    assert made["currency"] == "USD"  # rupees or yen: nobody knows
    linked = link(served, made["id"], bill)
    assert (linked.status, linked.json()["currency"]) == (200, "INR")
    assert linked.json()["bill_id"] == bill
    undone = served.send("DELETE", f"/api/v1/transactions/{made['id']}/link").json()
    assert (undone["currency"], undone["bill_id"]) == ("USD", None)


# -- links -----------------------------------------------------------------------------------------


def test_money_that_came_in_is_no_payment(served: Served) -> None:
    who = customer(served)
    bill = send(served, who, "GENERATION", **BILL)["bill_id"]
    refused = link(served, move(served, who, "500")["id"], bill)
    assert (refused.status, refused.code) == (409, "transaction_not_a_payment")
    assert listed(served, "bills", who)[0]["paid"] == "0.00"


def test_a_link_of_another_wording_is_one_of_the_first(served: Served) -> None:
    who = customer(served)
    bill = send(served, who, "GENERATION", **BILL)["bill_id"]
    first = move(served, who, "-500", reference="R1", currency="INR")
    again = move(
        served, who, "-500", reference="R-1", currency="INR", happened_at="2026-02-20T07:35:00Z"
    )
    assert again["duplicate_of"] == first["id"]
    linked = link(served, again["id"], bill)
    assert linked.status == 200
    assert (linked.json()["id"], linked.json()["bill_id"]) == (first["id"], bill)
    assert listed(served, "bills", who)[0]["status"] == "paid"


def test_a_link_outlives_the_banks_movement(served: Served) -> None:
    who = customer(served)
    for month in ("01", "02"):
        send(served, who, "GENERATION", amount="500.00", due_on=f"2026-{month}-25",
             sent_at=f"2026-{month}-01T08:00:00Z")  # fmt: skip
    told = send(served, who, "CONFIRMATION", amount="500.00", sent_at="2026-02-20T08:00:00Z")
    newer, older = listed(served, "bills", who)
    assert link(served, told["transaction_id"], newer["id"]).status == 200
    moved = move(served, who, "-500")
    assert moved["bill_id"] == newer["id"]
    assert "a person linked it" in moved["evidence"]
    states = {bill["id"]: bill["status"] for bill in listed(served, "bills", who)}
    assert states == {newer["id"]: "paid", older["id"]: "overdue"}
    # The row from before is another wording by now: a word on it is one on the bank's movement.
    undone = served.send("DELETE", f"/api/v1/transactions/{told['transaction_id']}/link")
    assert (undone.status, undone.json()["id"]) == (200, moved["id"])
    assert {bill["paid"] for bill in listed(served, "bills", who)} == {"0.00"}


def test_what_no_message_stands_behind_any_more_is_not_linked(served: Served) -> None:
    who = customer(served)
    bill = send(served, who, "GENERATION", **BILL, account_number="11")["bill_id"]
    bare: dict[str, Any] = {"issuer": "Northern Light", "account_number": None}
    lost = send(served, who, "GENERATION", amount="70.00", **bare)
    paid = send(served, who, "CONFIRMATION", amount="90.00", **bare)
    send(served, who, "GENERATION", amount="80.00", account_number="22")
    assert len(listed(served, "bill-accounts", who)) == 2
    assert listed(served, "transactions", who) == []
    assert link(served, paid["transaction_id"], bill).code == "transaction_set_aside"
    assert link(served, move(served, who, "-5")["id"], lost["bill_id"]).code == "bill_set_aside"


# -- when it came ----------------------------------------------------------------------------------

PARSED = {
    "account_type": "GAS_BILL", "transaction_type": "BILL_GENERATION",
    "message_type": "BILL_STATEMENT", "issuer": "Blue Flame", "account_number": "55001",
    "amount": "740",
}  # fmt: skip
RAW = {"body": "Your gas bill of Rs 740 for BP No 55001 is ready", "sender": "VM-MGLGAS"}


@pytest.mark.parametrize("what", [PARSED, RAW], ids=["parsed", "a text"])
def test_equal_texts_that_came_in_three_months_are_three_bills(
    served: Served, what: dict[str, str]
) -> None:
    who = customer(served)
    messages = [
        {"customer_id": who, **what, "received_at": f"{month}-05T08:00:00Z"}
        for month in ("2025-12", "2026-01", "2026-02")
    ]
    statuses = [served.post("/api/v1/messages", each).json()["status"] for each in messages]
    assert statuses == ["applied"] * 3
    assert len(listed(served, "bills", who)) == 3
    again = [each["status"] for each in served.post("/api/v1/messages", messages).json()["data"]]
    assert again == ["duplicate"] * 3


def test_where_the_time_sent_is_known_that_of_receipt_tells_nothing(served: Served) -> None:
    who = customer(served)
    sent = {"customer_id": who, **RAW, "sent_at": "2026-02-05T08:00:00Z"}
    for hour in ("09", "10"):
        made = served.post("/api/v1/messages", {**sent, "received_at": f"2026-02-05T{hour}:00:00Z"})
        assert made.status == 201
    assert len(listed(served, "messages", who)) == 1


def test_a_message_from_before_its_time_of_receipt_counted_is_known_again(served: Served) -> None:
    who = customer(served)
    came = {"customer_id": who, **RAW, "received_at": "2026-02-05T08:00:00Z"}
    parts = served.parts
    intake = Intake(shipped_reader(), parts.secrets, parts.ids, parts.clock.now(), "UTC")
    at = datetime(2026, 2, 5, 8, tzinfo=UTC)
    before = take_text(
        RawText(who.removeprefix("cus_"), RAW["body"], RAW["sender"], received_at=at), intake
    )
    asked = RecordMessages((before,), "USD", is_list=False)
    assert parts.door.ask_now(Command(RECORD_MESSAGES, asked)).refusal is None
    assert served.post("/api/v1/messages", came).json()["status"] == "duplicate"
    later = {**came, "received_at": "2026-03-01T08:00:00Z"}
    assert served.post("/api/v1/messages", later).json()["status"] == "applied"


@pytest.mark.parametrize("name", ["sent", "received"])
def test_a_text_from_the_future_waits_and_counts_as_of_today(served: Served, name: str) -> None:
    who = customer(served)
    body = "Payment of Rs 740 received for your gas bill, BP No 55001"
    made = text(served, who, body, sender="VM-MGLGAS", **{f"{name}_at": "2031-11-01T00:00:00Z"})
    why = f"it says that it was {name} in the future"
    assert (made.json()["status"], made.json()["why"]) == ("review", why)
    reading = {"transaction_type": "BILL_CONFIRMATION", "account_type": "GAS_BILL", "amount": "740"}
    path = f"/api/v1/review-items/{made.json()['id']}/resolution"
    assert served.post(path, reading).status == 200
    (row,) = listed(served, "transactions", who)
    assert row["happened_at"].startswith("2026-03-02")


def test_a_password_from_the_future_is_dropped_like_any(served_on_sqlite: Served) -> None:
    made = text(
        served_on_sqlite, customer(served_on_sqlite),
        "482915 is your OTP for the payment of Rs 500. Do not share.", sender="VM-DEMOBK",
        sent_at="2031-11-01T00:00:00Z",
    ).json()  # fmt: skip
    assert made["status"] == "otp_dropped"


def test_a_minimum_above_the_total_is_refused(served_on_sqlite: Served) -> None:
    served = served_on_sqlite
    body = {"customer_id": customer(served), **PARSED, "minimum_due": "740.01"}
    refused = served.post("/api/v1/messages", body)
    assert (refused.code, refused.json()["param"]) == ("field_invalid", "minimum_due")
    assert served.post("/api/v1/messages", {**body, "minimum_due": "740"}).status == 201
