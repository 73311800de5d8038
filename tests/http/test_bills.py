"""Household bills over real HTTP, on both databases: the two charts, step by step, and the rest."""

from typing import Any

import pytest

from tests.serving import Answer, Served

TYPES = {
    "ELECTRIC_BILL": "Northern Light",
    "MOBILE_BILL": "Hill Cellular",
    "GAS_BILL": "Blue Flame",
    "LOAN": "Seven Lakes Finance",
    "CREDITCARD": "Harbour Card",
}


def customer(served: Served, email: str = "asha@example.org") -> str:
    made = served.post("/api/v1/customers", {"name": "Asha Devi", "email": email})
    assert made.status == 201
    return str(made.json()["id"])


def send(served: Served, who: str, kind: str, bill_type: str = "ELECTRIC_BILL", **more: Any) -> Any:
    goes_with = {
        "GENERATION": "BILL_STATEMENT", "IMMEDIATE": "BILL_STATEMENT",
        "DUE_TODAY": "BILL_STATEMENT", "INFORMATION": "INFORMATION",
    }.get(kind, "BILL_PAYMENT")  # fmt: skip
    answer = served.post(
        "/api/v1/messages",
        {
            "customer_id": who, "account_type": bill_type, "transaction_type": f"BILL_{kind}",
            "message_type": goes_with, "issuer": TYPES[bill_type], "account_number": "AB-4711",
            "currency": "INR", **more,
        },
    )  # fmt: skip
    assert answer.status == 201, answer.body
    return answer.json()


def listed(served: Served, what: str, who: str, **query: str) -> list[Any]:
    tail = "".join(f"&{name}={value}" for name, value in query.items())
    answer = served.get(f"/api/v1/{what}?customer_id={who}{tail}")
    assert answer.status == 200, answer.body
    return list(answer.json()["data"])


# -- the first chart: BILL_GENERATION --------------------------------------------------------------


@pytest.mark.parametrize("bill_type", TYPES)
def test_generation_makes_account_bill_and_bill_info_then_updates(
    served: Served, bill_type: str
) -> None:
    who = customer(served)
    # No account: it is made, with its recurring bill and the bill of this period.
    made = send(
        served, who, "GENERATION", bill_type, amount="1200.00", bill_date="2026-02-10",
        due_on="2026-02-28", sent_at="2026-02-10T08:00:00Z",
    )  # fmt: skip
    assert made["status"] == "applied"
    (account,) = listed(served, "bill-accounts", who)
    assert (account["type"], account["issuer"]) == (bill_type, TYPES[bill_type])
    assert (account["number"], account["due_day"]) == ("AB-4711", 28)
    (bill,) = listed(served, "bills", who)
    assert made["bill_id"] == bill["id"]
    assert (bill["amount"], bill["status"], bill["paid"]) == ("1200.00", "overdue", "0.00")
    # The account exists, the bill date is known: the bill info is updated, with its history.
    again = send(
        served, who, "GENERATION", bill_type, amount="1250.00", bill_date="2026-02-10",
        due_on="2026-02-28", sent_at="2026-02-12T08:00:00Z",
    )  # fmt: skip
    assert again["bill_id"] == bill["id"]
    (bill,) = listed(served, "bills", who)
    assert bill["amount"] == "1250.00"
    assert bill["history"][1]["changed"] == {"amount": ["1200.00", "1250.00"]}
    # Another bill date: another bill info, and two unpaid months stay two.
    other = send(
        served, who, "GENERATION", bill_type, amount="900.00", bill_date="2026-03-01",
        due_on="2026-03-20", sent_at="2026-03-01T08:00:00Z",
    )  # fmt: skip
    assert other["bill_id"] != bill["id"]
    states = {bill["amount"]: bill["status"] for bill in listed(served, "bills", who)}
    older = "rolled_over" if bill_type == "CREDITCARD" else "overdue"
    assert states == {"1250.00": older, "900.00": "unpaid"}
    assert len(listed(served, "bill-accounts", who)) == 1


# -- the second chart: BILL_CONFIRMATION -----------------------------------------------------------


@pytest.mark.parametrize("bill_type", TYPES)
def test_confirmation_pays_the_unpaid_bill_and_makes_its_transaction(
    served: Served, bill_type: str
) -> None:
    who = customer(served)
    send(served, who, "GENERATION", bill_type, amount="500.00", due_on="2026-02-25",
         sent_at="2026-02-10T08:00:00Z")  # fmt: skip
    paid = send(served, who, "CONFIRMATION", bill_type, amount="500.00", paid_on="2026-02-20",
                sent_at="2026-02-20T08:00:00Z")  # fmt: skip
    (bill,) = listed(served, "bills", who)
    assert (bill["status"], bill["paid"], bill["paid_on"]) == ("paid", "500.00", "2026-02-20")
    assert paid["bill_id"] == bill["id"]
    (transaction,) = listed(served, "transactions", who)
    assert paid["transaction_id"] == transaction["id"]
    assert transaction["amount"] == "-500.00"
    assert transaction["description"] == f"{TYPES[bill_type]} Bill Payment"
    assert "oldest unpaid bill of exactly this amount" in bill["evidence"][0]["why"]


@pytest.mark.parametrize("bill_type", TYPES)
def test_confirmation_without_account_or_unpaid_bill_changes_no_bill(
    served: Served, bill_type: str
) -> None:
    who = customer(served)
    send(served, who, "CONFIRMATION", bill_type, amount="500.00", sent_at="2026-02-20T08:00:00Z")
    assert len(listed(served, "bill-accounts", who)) == 1
    assert listed(served, "bills", who) == []
    (transaction,) = listed(served, "transactions", who)
    assert (transaction["bill_id"], transaction["waiting"]) == (None, "500.00")
    # Its bill comes late, dated before the payment: the payment was waiting for it.
    late = send(served, who, "GENERATION", bill_type, amount="500.00", bill_date="2026-02-15",
                due_on="2026-03-05", sent_at="2026-02-21T08:00:00Z")  # fmt: skip
    (bill,) = listed(served, "bills", who)
    assert (bill["id"], bill["status"]) == (late["bill_id"], "paid")
    (transaction,) = listed(served, "transactions", who)
    assert (transaction["bill_id"], transaction["waiting"]) == (bill["id"], "0.00")


@pytest.mark.parametrize("bank_first", [True, False])
@pytest.mark.parametrize("bill_type", TYPES)
def test_a_transaction_that_exists_gets_the_bill_info(
    served: Served, bill_type: str, *, bank_first: bool
) -> None:
    who = customer(served)
    send(served, who, "GENERATION", bill_type, amount="500.00", due_on="2026-02-25",
         sent_at="2026-02-10T08:00:00Z")  # fmt: skip
    movement = {
        "customer_id": who, "amount": "-500.00", "happened_at": "2026-02-20T07:30:00Z",
        "description": "NEFT 221",
    }  # fmt: skip
    if bank_first:
        assert served.post("/api/v1/transactions", movement).json()["bill_id"] is None
    send(served, who, "CONFIRMATION", bill_type, amount="500.00", sent_at="2026-02-20T08:00:00Z")
    if not bank_first:
        assert served.post("/api/v1/transactions", movement).json()["bill_id"] is not None
    (bill,) = listed(served, "bills", who)
    (transaction,) = listed(served, "transactions", who)
    assert (transaction["bill_id"], transaction["description"]) == (bill["id"], "NEFT 221")
    assert "the same amount, within the hour" in transaction["evidence"]
    assert (bill["status"], bill["paid"]) == ("paid", "500.00")


# -- a person's word -------------------------------------------------------------------------------


def test_a_link_can_be_undone_and_a_persons_link_wins(served: Served) -> None:
    who = customer(served)
    for month in ("02", "03"):
        send(served, who, "GENERATION", amount="500.00", due_on=f"2026-{month}-25",
             sent_at=f"2026-{month}-01T08:00:00Z")  # fmt: skip
    paid = send(served, who, "CONFIRMATION", amount="500.00", sent_at="2026-03-02T08:00:00Z")
    newer, older = listed(served, "bills", who)
    assert paid["bill_id"] == older["id"]
    link = f"/api/v1/transactions/{paid['transaction_id']}/link"
    moved = served.post(link, {"bill_id": newer["id"]})
    assert (moved.status, moved.json()["bill_id"]) == (200, newer["id"])
    assert "a person linked it" in moved.json()["evidence"]
    states = {bill["id"]: bill["status"] for bill in listed(served, "bills", who)}
    assert states == {newer["id"]: "paid", older["id"]: "overdue"}
    undone = served.send("DELETE", link)
    assert (undone.status, undone.json()["bill_id"]) == (200, None)
    assert {bill["paid"] for bill in listed(served, "bills", who)} == {"0.00"}
    another = customer(served, "bela@example.org")
    foreign = send(served, another, "GENERATION", amount="1.00")["bill_id"]
    assert served.post(link, {"bill_id": foreign}).code == "bill_of_another_customer"


# -- messages as they come -------------------------------------------------------------------------


def text(served: Served, who: str, body: str, **more: Any) -> Answer:
    return served.post("/api/v1/messages", {"customer_id": who, "body": body, **more})


def test_a_raw_text_becomes_a_bill(served: Served) -> None:
    who = customer(served)
    answer = text(
        served, who, "Your BESCOM bill for RR No. W220145 is Rs. 1,02,340.50. Due date 28-03-2026.",
        sender="AX-BESCOM", sent_at="2026-03-01T06:00:00Z",
    )  # fmt: skip
    assert answer.status == 201
    made = answer.json()
    assert (made["status"], made["read"]["kind"]) == ("applied", "BILL_GENERATION")
    assert made["read"]["amount"] == "102340.50"
    assert made["read"]["bill_type"] == "ELECTRIC_BILL"
    span = made["read"]["fields"]["amount"]
    assert made["body"][span["start"] : span["end"]] == "1,02,340.50"
    (bill,) = listed(served, "bills", who, status="unpaid")
    assert (bill["due_on"], bill["account"]["number"]) == ("2026-03-28", "W220145")
    one = served.get(f"/api/v1/bills/{bill['id']}").json()
    assert one == bill


def test_the_same_message_a_hundred_times_is_one(served: Served) -> None:
    who = customer(served)
    message = {
        "customer_id": who,
        "body": "Your gas bill of Rs 740 for BP No 55001 is due on 20-03-2026",
        "sender": "VM-MGLGAS",
        "sent_at": "2026-03-01T06:00:00Z",
    }
    answer = served.post("/api/v1/messages", [message] * 100)
    assert answer.status == 201
    statuses = [item["status"] for item in answer.json()["data"]]
    assert statuses == ["applied"] + ["duplicate"] * 99
    again = served.post("/api/v1/messages", message).json()
    assert (again["status"], again["id"]) == ("duplicate", answer.json()["data"][0]["id"])
    assert len(listed(served, "messages", who)) == 1


def test_a_one_time_password_is_dropped(served: Served) -> None:
    who = customer(served)
    made = text(served, who, "482915 is your OTP for the payment of Rs 500. Do not share.",
                sender="VM-DEMOBK").json()  # fmt: skip
    assert (made["status"], made["body"], made["sender"]) == ("otp_dropped", None, "VM-DEMOBK")
    assert "482915" not in str(listed(served, "messages", who))


def test_a_trap_goes_to_review_and_can_be_dismissed(served: Served) -> None:
    who = customer(served)
    made = text(
        served, who,
        "Your BESCOM bill of Rs 2100 is overdue. Pay immediately to avoid disconnection:"
        " http://pay-now.example.com",
    ).json()  # fmt: skip
    assert (made["status"], made["read"]["kind"]) == ("review", None)
    (item,) = listed(served, "review-items", who)
    path = f"/api/v1/review-items/{item['id']}/resolution"
    done = served.post(path, {"dismiss": True, "reason": "a trap"})
    assert (done.status, done.json()["status"]) == (200, "unmatched")
    assert served.post(path, {"dismiss": True}).code == "review_item_resolved"
    assert listed(served, "review-items", who) == []


def test_a_review_item_is_resolved_by_the_right_reading(served: Served) -> None:
    who = customer(served)
    made = text(
        served, who, "Your electricity bill: Rs 500 or was it Rs 700, due on 20-03-2026"
    ).json()
    assert made["status"] == "review"
    path = f"/api/v1/review-items/{made['id']}/resolution"
    done = served.post(
        path,
        {"transaction_type": "BILL_GENERATION", "account_type": "ELECTRIC_BILL", "amount": "700",
         "issuer": "Northern Light", "due_on": "2026-03-20", "currency": "INR"},
    )  # fmt: skip
    assert (done.status, done.json()["status"]) == (200, "applied")
    (bill,) = listed(served, "bills", who)
    assert (bill["amount"], bill["id"]) == ("700.00", done.json()["bill_id"])
    missing = "/api/v1/review-items/msg_" + "0" * 32 + "/resolution"
    assert served.post(missing, {"dismiss": True}).code == "review_item_not_found"


def test_refusals(served_on_sqlite: Served) -> None:
    served = served_on_sqlite
    who = customer(served)
    nobody = "cus_" + "0" * 32
    assert text(served, nobody, "x").code == "customer_not_found"
    assert served.post("/api/v1/messages", []).code == "field_invalid"
    assert served.post("/api/v1/messages", {"customer_id": who}).code == "field_invalid"
    assert text(served, who, "x", amount="5").code == "field_invalid"
    wrong = {
        "customer_id": who, "account_type": "GAS_BILL", "transaction_type": "BILL_GENERATION",
        "message_type": "BILL_PAYMENT", "issuer": "Blue Flame",
    }  # fmt: skip
    assert served.post("/api/v1/messages", wrong).code == "types_disagree"
    assert served.get("/api/v1/bills/bill_" + "0" * 32).code == "bill_not_found"
    link = "/api/v1/transactions/txn_" + "0" * 32 + "/link"
    assert served.post(link, {"bill_id": "bill_" + "0" * 32}).code == "transaction_not_found"
    movement = {"customer_id": who, "amount": "0", "happened_at": "2026-02-20T07:30:00Z"}
    assert served.post("/api/v1/transactions", movement).code == "amount_invalid"
    made = served.post("/api/v1/transactions", {**movement, "amount": "-5"}).json()
    link = f"/api/v1/transactions/{made['id']}/link"
    assert served.post(link, {"bill_id": "bill_" + "0" * 32}).code == "bill_not_found"


def test_a_fault_is_told_of_the_field_that_was_sent(served_on_sqlite: Served) -> None:
    served = served_on_sqlite
    who = customer(served)
    good = {"customer_id": who, "body": "x"}
    one = served.post("/api/v1/messages", {**good, "colour": "red"})
    assert (one.code, one.json()["param"]) == ("field_invalid", "colour")
    third = served.post("/api/v1/messages", [good, good, {**good, "sent_at": "yesterday"}])
    assert (third.code, third.json()["param"]) == ("field_invalid", "2.sent_at")
    many = served.post("/api/v1/messages", [good] * 1_001)
    assert many.code == "field_invalid"
    assert "at most 1000 items" in many.json()["detail"]


def test_what_has_not_happened_yet_is_refused(served_on_sqlite: Served) -> None:
    served = served_on_sqlite
    who = customer(served)
    later = "2026-03-04T10:00:00Z"
    movement = {"customer_id": who, "amount": "-5", "happened_at": later}
    answer = served.post("/api/v1/transactions", movement)
    assert (answer.code, answer.json()["param"]) == ("date_in_future", "happened_at")
    parsed = {
        "customer_id": who, "account_type": "GAS_BILL", "transaction_type": "BILL_CONFIRMATION",
        "message_type": "BILL_PAYMENT", "issuer": "Blue Flame", "amount": "5",
    }  # fmt: skip
    for name, value in (("sent_at", later), ("received_at", later), ("paid_on", "2026-03-04")):
        answer = served.post("/api/v1/messages", {**parsed, name: value})
        assert (answer.code, answer.json()["param"]) == ("date_in_future", name)
    text = "Payment of Rs 5 received for your gas bill, BP No 55001, on 20-03-2026"
    made = served.post(
        "/api/v1/messages",
        {"customer_id": who, "body": text, "sender": "VM-MGLGAS",
         "sent_at": "2026-03-01T10:00:00Z"},
    ).json()  # fmt: skip
    assert (made["status"], made["why"]) == ("review", "the payment is dated after the message")


@pytest.mark.parametrize(
    "body",
    [
        '{"customer_id": "%s", "body": "Rs 5 caf\xe9"}',
        '{"customer_id": "%s", "body": "Rs 5 \\ud800"}',
        '{"customer_id": "%s", "body": "Rs 5", "body": "Rs 6"}',
        "\x00\x01\xff%s",
    ],
    ids=["latin-1", "half a surrogate", "a key twice", "binary"],
)
def test_what_is_no_text_is_refused(served_on_sqlite: Served, body: str) -> None:
    content = (body % customer(served_on_sqlite)).encode("latin-1")
    answer = served_on_sqlite.post(
        "/api/v1/messages", content=content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status, answer.code) == (422, "body_malformed")


def test_hostile_texts_are_kept_and_harm_nothing(served: Served) -> None:
    who = customer(served)
    bill = "Your BES\u200bCOM bill of Rs\u202e 1,\u206024\u200b0 is d\u00adue on 20-03-2026"
    hidden = text(served, who, bill, sender="AX-BESCOM").json()
    assert (hidden["status"], hidden["read"]["amount"]) == ("applied", "1240.00")
    long = text(served, who, "bill of Rs 5 is due. " * 150_000).json()
    assert (long["status"], long["why"]) == ("review", "the text is longer than any bill")
    assert len(long["body"]) == 2_048
    for odd in (
        "",
        "\U0001f4a1" * 400,
        "\u0967\u0968 \u0930\u0941",
        "due on 99/99/9999",
        "((((" * 500,
    ):
        assert text(served, who, odd, sender="AX-BESCOM").json()["status"] == "unmatched"
    huge = text(served, who, "x" * 6_000_000)
    assert huge.code == "body_too_large"
    assert len(listed(served, "messages", who)) == 7


def test_a_message_for_another_customers_account_stays_with_whom_it_was_sent_for(
    served: Served,
) -> None:
    asha, bela = customer(served), customer(served, "bela@example.org")
    send(served, asha, "GENERATION", amount="500.00", due_on="2026-03-25")
    made = send(served, bela, "CONFIRMATION", amount="500.00")
    assert made["bill_id"] is None
    (bill,) = listed(served, "bills", asha)
    assert (bill["paid"], bill["status"]) == ("0.00", "unpaid")
    assert len(listed(served, "bill-accounts", bela)) == 1


def test_an_idempotency_key_gets_the_first_reply(served: Served) -> None:
    who = customer(served)
    body = {
        "customer_id": who,
        "body": "Your gas bill of Rs 740 is due on 20-03-2026",
        "sender": "VM-MGLGAS",
    }
    key = {"Idempotency-Key": "one"}
    first = served.post("/api/v1/messages", body, headers=key)
    second = served.post("/api/v1/messages", body, headers=key)
    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert second.headers["idempotency-replayed"] == "true"
