"""Every refusal that loans can give is reached once, with its status and its sentence."""

from typing import Any

from tallybook.kernel.refusal import REFUSALS
from tests.lending import API, Lending
from tests.serving import Answer, Served

ROW = "110000.00"


def test_every_refusal_of_loans_is_reached(served_on_sqlite: Served) -> None:
    lending = Lending(served_on_sqlite)
    who = lending.customer()
    loan = lending.loan(who, start_on="2026-02-28", reference="A-1")["id"]
    paid = lending.paid(loan, ROW)["id"]
    waiting = lending.paid(loan, ROW, method="mock_pending")["id"]
    single = lending.loan(who, installments=1)["id"]
    lending.paid(single, "5500000.00")

    def post(path: str, **body: Any) -> Answer:
        return lending.client.post(f"{API}/loans/{loan}/payments{path}", body)

    reached = {
        "loan_not_found": lending.client.get(f"{API}/loans/loan_{'0' * 32}"),
        "interest_rate_invalid": lending.ask(who, interest_rate="1001"),
        "loan_too_small": lending.ask(who, principal="0.10", interest_rate=0),
        "loan_too_long": lending.ask(who, installments=9_000, interval="monthly"),
        "loan_reference_taken": lending.ask(who, reference="A-1"),
        "loan_closed": lending.pay(single, "5500000.00"),
        "loan_state_wrong": lending.client.post(f"{API}/loans/{single}/write-off", {"reason": "x"}),
        "payment_amount_mismatch": lending.pay(loan, 1),
        "payment_before_loan": lending.pay(loan, ROW, effective_on="2026-02-27"),
        "installment_not_found": lending.pay(loan, ROW, installment_number=51),
        "installment_already_paid": lending.pay(loan, ROW, installment_number=1),
        "installment_reserved": lending.pay(loan, ROW, installment_number=2),
        "installment_not_next": lending.pay(loan, ROW, installment_number=4),
        "payment_method_reserved": lending.pay(loan, ROW, method="credit"),
        "payment_not_found": post(f"/pay_{'0' * 32}/reversal", reason="x"),
        "payment_state_wrong": post(f"/{waiting}/reversal", reason="x"),
        "reversal_before_payment": post(f"/{paid}/reversal", reason="x", effective_on="2026-03-01"),
    }
    for code, refused in reached.items():
        assert refused.code == code
        assert refused.status == REFUSALS[code].status
        problem = refused.json()
        assert problem["detail"].endswith(".")
        assert "(" not in problem["detail"], "a blank is left"
    ours = [code for code in REFUSALS if code.startswith(("loan_", "installment_", "payment_"))]
    elsewhere = {"payment_insufficient"}
    assert {*ours} - {*reached} - elsewhere == set()
