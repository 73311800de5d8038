"""A client's words for loans: made, paid and looked at over HTTP."""

from typing import Any

from tests.serving import Answer, Client

API = "/api/v1"


class Lending:
    """Makes and reads loans through any client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def customer(self, name: str = "asha", **fields: Any) -> str:
        body = {"name": name, "email": f"{name}@example.org", **fields}
        made = self.client.post(f"{API}/customers", body)
        assert made.status == 201, made
        return str(made.json()["id"])

    def ask(self, customer_id: str, **fields: Any) -> Answer:
        """Ask for the seed's loan, or what is different about it."""
        body = {
            "customer_id": customer_id,
            "principal": 5_000_000,
            "interest_rate": 10,
            "installments": 50,
            **fields,
        }
        return self.client.post(f"{API}/loans", body)

    def loan(self, customer_id: str, **fields: Any) -> Any:
        made = self.ask(customer_id, **fields)
        assert made.status == 201, made
        return made.json()

    def pay(self, loan_id: str, amount: object, *, key: str | None = None, **fields: Any) -> Answer:
        body = {"amount": amount, **fields}
        return self.client.post(f"{API}/loans/{loan_id}/payments", body, key=key)

    def paid(self, loan_id: str, amount: object, **fields: Any) -> Any:
        answer = self.pay(loan_id, amount, **fields)
        assert answer.status == 201, answer
        return answer.json()

    def read(self, path: str) -> Any:
        answer = self.client.get(f"{API}{path}")
        assert answer.status == 200, answer
        return answer.json()

    def outstanding(self, loan_id: str, as_of: str | None = None) -> str:
        return str(self.read(f"/loans/{loan_id}/outstanding{_query(as_of)}")["outstanding"])

    def delinquency(self, loan_id: str, as_of: str | None = None) -> Any:
        return self.read(f"/loans/{loan_id}/delinquency{_query(as_of)}")

    def schedule(self, loan_id: str, as_of: str | None = None) -> list[Any]:
        return list(self.read(f"/loans/{loan_id}/schedule{_query(as_of)}")["data"])


def _query(as_of: str | None) -> str:
    return f"?as_of={as_of}" if as_of else ""
