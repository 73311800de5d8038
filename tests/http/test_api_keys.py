"""Every route against every kind of key; what a key is scoped to; who is let in without one."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.access import tasks as access_tasks
from tallybook.access.model import ApiKey, Scope
from tallybook.access.operations import REVOKE_KEY, RevokeKey
from tallybook.access.queries import list_keys
from tallybook.access.rules import KEY_BYTES
from tallybook.access.tasks import make_key, rotate_key
from tallybook.access.views import KEY_PREFIX
from tallybook.ambient.fresh import fresh_secret
from tallybook.entrypoints.api import make_routes
from tallybook.kernel.ids import show_id
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.writer.model import Command, Outcome
from tests.serving import Answer, Client, Served, serve_book, wait_until

READ, OPERATE, MONEY = "read", "operate", "money"
ROUTES = {
    ("GET", "/advances"): READ,
    ("GET", "/advances/{advance_id}"): READ,
    ("GET", "/bill-accounts"): READ,
    ("GET", "/bills"): READ,
    ("GET", "/bills/{bill_id}"): READ,
    ("GET", "/customers"): READ,
    ("GET", "/customers/{customer_id}"): READ,
    ("GET", "/customers/{customer_id}/balance"): READ,
    ("GET", "/customers/{customer_id}/history"): READ,
    ("GET", "/denominations"): READ,
    ("GET", "/denominations/{value}"): READ,
    ("GET", "/download_report"): READ,
    ("GET", "/drawer"): READ,
    ("GET", "/drawer-sessions"): READ,
    ("GET", "/drawer-sessions/{session_id}"): READ,
    ("GET", "/drawer-sessions/{session_id}/movements"): READ,
    ("GET", "/events"): READ,
    ("GET", "/ledger/accounts"): READ,
    ("GET", "/ledger/accounts/{account_id}/statement"): READ,
    ("GET", "/ledger/trial-balance"): READ,
    ("GET", "/customers/{customer_id}/delinquency"): READ,
    ("GET", "/customers/{customer_id}/outstanding"): READ,
    ("GET", "/loan-portfolio"): READ,
    ("GET", "/loans"): READ,
    ("GET", "/loans/{loan_id}"): READ,
    ("GET", "/loans/{loan_id}/delinquency"): READ,
    ("GET", "/loans/{loan_id}/outstanding"): READ,
    ("GET", "/loans/{loan_id}/payments"): READ,
    ("GET", "/loans/{loan_id}/payments/{payment_id}"): READ,
    ("GET", "/loans/{loan_id}/schedule"): READ,
    ("GET", "/messages"): READ,
    ("GET", "/operator-items"): READ,
    ("GET", "/processor-reports"): READ,
    ("GET", "/products"): READ,
    ("GET", "/products/{product_id}"): READ,
    ("GET", "/purchases"): READ,
    ("GET", "/purchases/{purchase_id}"): READ,
    ("GET", "/purchases/{purchase_id}/receipt"): READ,
    ("GET", "/purchases/{purchase_id}/refunds"): READ,
    ("GET", "/report"): READ,
    ("GET", "/review-items"): READ,
    ("GET", "/runs"): READ,
    ("GET", "/sending"): READ,
    ("GET", "/transactions"): READ,
    ("POST", "/customers"): OPERATE,
    ("POST", "/customers/{customer_id}/bank-accounts"): OPERATE,
    ("POST", "/drawer-sessions"): OPERATE,
    ("POST", "/drawer-sessions/{session_id}/close"): OPERATE,
    ("POST", "/loans/{loan_id}/payments"): OPERATE,
    ("POST", "/messages"): OPERATE,
    ("POST", "/products"): OPERATE,
    ("PUT", "/products/{product_id}"): OPERATE,
    ("DELETE", "/products/{product_id}"): OPERATE,
    ("POST", "/purchases"): OPERATE,
    ("POST", "/review-items/{item_id}/resolution"): OPERATE,
    ("POST", "/transactions"): OPERATE,
    ("POST", "/transactions/{transaction_id}/link"): OPERATE,
    ("DELETE", "/transactions/{transaction_id}/link"): OPERATE,
    ("POST", "/advances"): MONEY,
    ("POST", "/advances/{advance_id}/cancellation"): MONEY,
    ("POST", "/advances/{advance_id}/resumption"): MONEY,
    ("POST", "/advances/{advance_id}/write-off"): MONEY,
    ("POST", "/customers/{customer_id}/credit-applications"): MONEY,
    ("POST", "/customers/{customer_id}/credit-payouts"): MONEY,
    ("PUT", "/customers/{customer_id}"): MONEY,
    ("POST", "/denominations"): MONEY,
    ("PUT", "/denominations/{value}"): MONEY,
    ("POST", "/drawer-sessions/{session_id}/movements"): MONEY,
    ("POST", "/loans"): MONEY,
    ("POST", "/loans/{loan_id}/payments/{payment_id}/reversal"): MONEY,
    ("POST", "/loans/{loan_id}/payments/{payment_id}/settlement"): MONEY,
    ("POST", "/loans/{loan_id}/write-off"): MONEY,
    ("POST", "/operator-items/{item_id}/resolution"): MONEY,
    ("POST", "/perform_advance"): MONEY,
    ("POST", "/processor-reports"): MONEY,
    ("POST", "/purchases/{purchase_id}/refunds"): MONEY,
    ("POST", "/runs"): MONEY,
    ("POST", "/sending/start"): MONEY,
    ("POST", "/sending/stop"): MONEY,
}
"""What each call needs, said a second time: a call nobody has thought about has no row here."""

PLACES = {READ: 1, OPERATE: 2, MONEY: 3}
ASHA = {"name": "Asha", "email": "asha@example.org"}


def all_routes() -> set[tuple[str, str]]:
    return {(method, route.path) for route in make_routes("") for method in route.methods or ()}


def test_every_route_has_a_row() -> None:
    assert all_routes() == ROUTES.keys()


def a_key(served: Served, scope: Scope, name: str = "test") -> tuple[str, str]:
    secret = fresh_secret(KEY_BYTES)
    text, outcome = make_key(served.parts.door, secret, name, scope, is_new_client=True)
    assert outcome.status == 201
    return text, outcome.value.id


def with_key(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def see_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ring believe nothing it has read."""
    monkeypatch.setattr(access_tasks, "FRESH_SECONDS", 0.0)


@pytest.fixture
def keyed(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> tuple[Served, dict[str, str]]:
    see_at_once(monkeypatch)
    served = served_on_sqlite
    texts = {scope.value: a_key(served, scope)[0] for scope in Scope}
    texts["revoked"], ident = a_key(served, Scope.MONEY)
    served.parts.door.ask_now(Command(REVOKE_KEY, RevokeKey(ident)))
    texts["wrong"] = a_key(served, Scope.MONEY)[0][:-1] + "x"
    return served, texts


def ask(served: Client, method: str, path: str, text: str | None) -> Answer:
    concrete = path
    for name in ("customer", "advance", "item", "bill", "transaction", "loan", "payment"):
        concrete = concrete.replace(f"{{{name}_id}}", "x")
    for name in ("account_id", "product_id", "purchase_id", "session_id", "value"):
        concrete = concrete.replace(f"{{{name}}}", "999")
    assert "{" not in concrete
    headers = with_key(text) if text is not None else {}
    # An unknown parameter stops each call that gets through before it does anything.
    return served.send(method, f"/api/v1{concrete}?not-a-parameter=1", headers=headers)


def test_every_route_takes_the_keys_that_cover_it_and_no_others(
    keyed: tuple[Served, dict[str, str]],
) -> None:
    served, texts = keyed
    wrong: list[Any] = []
    for (method, path), needed in sorted(ROUTES.items()):
        for kind in (None, "wrong", "revoked", READ, OPERATE, MONEY):
            answer = ask(served, method, path, texts[kind] if kind else None)
            if kind is None:
                expected: tuple[int, str | None] = (401, "api_key_missing")
            elif kind not in PLACES:
                expected = (401, "api_key_invalid")
            elif PLACES[kind] < PLACES[needed]:
                expected = (403, "scope_insufficient")
            else:
                expected = (422, "field_invalid")
            if (answer.status, answer.code) != expected:
                wrong.append((method, path, kind, answer.status, answer.code))
            if answer.status == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")
            for name, value in STRICT.items():
                assert answer.headers[name] == value
    assert wrong == []


@pytest.mark.parametrize(
    "ending", ["%0A", "%0D%0A", "%0A%0A", "/", "//", "%2F", "%00", "%20", ";x"]
)
def test_no_spelling_of_an_address_goes_past_the_scope_it_needs(
    keyed: tuple[Served, dict[str, str]], ending: str
) -> None:
    """A pattern's `$` takes a newline at the end of a path, where the table finds no route."""
    served, texts = keyed
    passed: list[Any] = []
    for method, path in sorted(ROUTES):
        if path.endswith("}"):
            continue  # there it is part of the id
        concrete = re.sub(r"{\w+}", "1", path)
        answer = served.send(
            method, f"/api/v1{concrete}{ending}?not-a-parameter=1", headers=with_key(texts[READ])
        )
        if (answer.status, answer.code) != (404, "not_found"):
            passed.append((method, path, answer.status, answer.code))
    assert passed == []


def test_who_asks_with_a_method_that_an_address_lacks_is_told_all_it_has(
    keyed: tuple[Served, dict[str, str]],
) -> None:
    served, texts = keyed
    for method in ("PATCH", "DELETE", "OPTIONS"):
        answer = served.send(method, "/api/v1/products", headers=with_key(texts[READ]))
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD, POST"


STRICT = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def test_a_credit_limit_needs_money_from_the_first(keyed: tuple[Served, dict[str, str]]) -> None:
    served, texts = keyed
    ada = {"name": "Ada", "email": "ada@example.org", "credit_limit": "1000000"}
    refused = served.post("/api/v1/customers", ada, headers=with_key(texts[OPERATE]))
    assert (refused.status, refused.code) == (403, "scope_insufficient")
    without = {name: value for name, value in ada.items() if name != "credit_limit"}
    assert served.post("/api/v1/customers", without, headers=with_key(texts[OPERATE])).status == 201
    bob = ada | {"email": "bob@example.org"}
    assert served.post("/api/v1/customers", bob, headers=with_key(texts[MONEY])).status == 201


def test_what_tells_nothing_of_the_book_needs_no_key(
    keyed: tuple[Served, dict[str, str]],
) -> None:
    served, texts = keyed
    for path in ("/healthz", "/readyz", "/docs", "/docs/start.js", "/openapi.json"):
        assert served.get(path).status == 200
    assert served.get("/metrics").code == "api_key_missing"
    assert served.get("/metrics", headers=with_key(texts[READ])).status == 200
    # Nobody learns without a key which addresses there are.
    for path in ("/api/v1/nothing", "/nothing", "/api/v2/customers"):
        assert served.get(path).code == "api_key_missing"
        assert served.get(path, headers=with_key(texts[READ])).code == "not_found"


def test_a_key_that_is_no_key_or_given_twice_opens_nothing(
    keyed: tuple[Served, dict[str, str]],
) -> None:
    served, texts = keyed
    for given in (
        texts[READ],
        f"Basic {texts[READ]}",
        f"Bearer {texts[READ]}x",
        f"Bearer {texts[READ]} {texts[READ]}",
        "Bearer ",
        "Bearer tbk_",
        "Bearer \xff",
    ):
        answer = served.get("/api/v1/customers", headers={"Authorization": given})
        assert answer.status == 401, given
        assert texts[READ].encode() not in answer.body


def test_once_there_was_a_key_none_is_not_the_same_as_open(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    see_at_once(monkeypatch)
    served = served_on_sqlite
    assert served.get("/api/v1/customers").status == 200
    _, ident = a_key(served, Scope.READ)
    assert served.get("/api/v1/customers").status == 401
    served.parts.door.ask_now(Command(REVOKE_KEY, RevokeKey(ident)))
    assert served.get("/api/v1/customers").code == "api_key_missing"


def test_a_revoked_key_is_refused_within_seconds_and_an_expired_one_at_once(
    served_on_sqlite: Served,
) -> None:
    served = served_on_sqlite
    text, ident = a_key(served, Scope.READ)
    found = served.parts.clock
    assert served.get("/api/v1/customers", headers=with_key(text)).status == 200
    served.parts.door.ask_now(Command(REVOKE_KEY, RevokeKey(ident)))
    wait_until(lambda: served.get("/api/v1/customers", headers=with_key(text)).status == 401, 20)
    until = found.now() + timedelta(hours=1)
    short, outcome = make_key(
        served.parts.door, fresh_secret(KEY_BYTES), "short", Scope.READ, until
    )
    assert outcome.value.expires_at == until
    found.advance(hours=1)
    assert served.get("/api/v1/customers", headers=with_key(short)).code == "api_key_invalid"


def test_a_request_key_belongs_to_the_client_and_outlives_its_api_key(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    see_at_once(monkeypatch)
    first, ident = a_key(served, Scope.OPERATE, "one")
    other, _ = a_key(served, Scope.OPERATE, "other")
    long_key = "k" * 255
    made = {
        key: served.post("/api/v1/customers", body, key=key, headers=with_key(first))
        for key, body in (("k", ASHA), (long_key, {**ASHA, "email": "b@example.org"}))
    }
    assert [each.status for each in made.values()] == [201, 201]
    # Another client's same key is another request, and hears nothing of the first one's reply.
    again = served.post("/api/v1/customers", ASHA, key="k", headers=with_key(other))
    assert again.code == "email_taken"
    # The client's next key asks the same question.
    second, outcome = rotate_key(
        served.parts.door, fresh_secret(KEY_BYTES), ident, timedelta(hours=1)
    )
    assert outcome.status == 201
    for key, body in (("k", ASHA), (long_key, {**ASHA, "email": "b@example.org"})):
        replayed = served.post("/api/v1/customers", body, key=key, headers=with_key(second))
        assert replayed.headers["idempotency-replayed"] == "true"
        assert replayed.body == made[key].body
    # The old one is good until its hour is over.
    assert served.get("/api/v1/customers", headers=with_key(first)).status == 200
    served.parts.clock.advance(hours=1)
    assert served.get("/api/v1/customers", headers=with_key(first)).status == 401
    assert served.get("/api/v1/customers", headers=with_key(second)).status == 200


def test_a_client_whose_key_was_revoked_goes_on_as_the_same_client(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    see_at_once(monkeypatch)
    door = served.parts.door
    leaked, ident = a_key(served, Scope.OPERATE, "till-1")
    made = served.post("/api/v1/customers", ASHA, key="order-77", headers=with_key(leaked))
    assert made.status == 201
    door.ask_now(Command(REVOKE_KEY, RevokeKey(ident)))
    # Another client of its name would do again what it asks again: nobody makes one unknowingly.
    _, outcome = make_key(door, fresh_secret(KEY_BYTES), "till-1", Scope.OPERATE)
    assert outcome.refusal is not None
    assert outcome.refusal.code == "client_name_taken"
    assert outcome.refusal.details == {"key_id": show_id(KEY_PREFIX, ident)}
    for hours in (0, 30):
        served.parts.clock.advance(hours=hours)
        text, outcome = rotate_key(door, fresh_secret(KEY_BYTES), ident, timedelta(hours=1))
        assert outcome.status == 201
        again = served.post("/api/v1/customers", ASHA, key="order-77", headers=with_key(text))
        assert (again.status, again.body) == (201, made.body)
        assert again.headers["idempotency-replayed"] == "true"
    assert served.get("/api/v1/customers", headers=with_key(leaked)).code == "api_key_invalid"
    _, outcome = make_key(
        door, fresh_secret(KEY_BYTES), "till-1", Scope.OPERATE, is_new_client=True
    )
    assert outcome.status == 201


def test_only_a_hash_is_kept_and_when_a_key_was_last_used(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    see_at_once(monkeypatch)
    text, _ = a_key(served, Scope.READ)
    for _ in range(3):
        assert served.get("/api/v1/customers", headers=with_key(text)).status == 200
    wait_until(lambda: only_key(served).last_used_at == served.parts.clock.now(), 20)
    key = only_key(served)
    assert served.get("/api/v1/customers", headers=with_key(text)).status == 200
    with served.parts.database.reader() as connection:
        events = connection.exec_driver_sql(
            "SELECT count(*) FROM events WHERE type = 'access.key.used'"
        ).scalar_one()
    assert events == 1, "it is noted once an hour"
    assert text[10:] not in repr(key)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or text[4:].encode() not in file.read_bytes()


def only_key(served: Served) -> ApiKey:
    with served.parts.database.reader() as connection:
        (key,) = list_keys(connection)
    return key


def test_no_read_waits_until_it_is_noted_that_its_key_was_used(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    see_at_once(monkeypatch)
    served = served_on_sqlite
    text, _ = a_key(served, Scope.READ)
    other = sqlite3.connect(served.parts.database.path or "", isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")  # as a long import has it
        begun = time.monotonic()
        for _ in range(4):
            assert served.get("/api/v1/customers", headers=with_key(text)).status == 200
        assert time.monotonic() - begun < 3, "one attempt at a write takes five seconds"
        assert only_key(served).last_used_at is None
        other.execute("ROLLBACK")
    wait_until(lambda: only_key(served).last_used_at is not None, 20)


@pytest.mark.parametrize("is_raised", [True, False])
def test_a_note_that_was_refused_is_not_asked_for_again_at_once(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch, *, is_raised: bool
) -> None:
    see_at_once(monkeypatch)
    served = served_on_sqlite
    text, _ = a_key(served, Scope.READ)
    asked: list[Command] = []

    async def refuse(command: Command) -> Outcome:
        asked.append(command)
        if is_raised:
            raise Refused(Refusal("shutting_down"))
        return Outcome(503, "{}", Refusal("busy"))

    monkeypatch.setattr(served.parts.door, "ask", refuse)
    for _ in range(5):
        assert served.get("/api/v1/customers", headers=with_key(text)).status == 200
    assert len(asked) == 1


def test_a_page_from_elsewhere_gets_nothing_out_of_a_browser_on_this_machine(
    served_on_sqlite: Served,
) -> None:
    send = served_on_sqlite.send
    for headers, code in (
        ({"Host": "evil.example"}, "host_not_served"),
        ({"Host": "evil.example:8000"}, "host_not_served"),
        ({"Host": "[::1"}, "host_not_served"),
        ({"Host": "[zz]"}, "host_not_served"),
        ({"Origin": "https://evil.example"}, "origin_not_allowed"),
        ({"Origin": "http://[x"}, "origin_not_allowed"),
        ({"Origin": "null"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_not_allowed"),
    ):
        for method, path in (("GET", "/api/v1/customers"), ("POST", "/api/v1/runs")):
            answer = send(method, path, headers=headers)
            assert (answer.status, answer.code) == (403, code)
    own = served_on_sqlite.url.removeprefix("http://")
    for headers in ({"Origin": f"http://{own}"}, {"Sec-Fetch-Site": "same-origin"}):
        assert served_on_sqlite.get("/api/v1/customers", headers=headers).status == 200


@pytest.fixture
def limited(sqlite_book_url: str, tmp_path: Path) -> Iterator[Served]:
    def prepare(parts: Any) -> None:
        parts.settings.rate_limit = 0.001
        parts.settings.body_limit = 2_048
        parts.settings.docs_page = False

    with serve_book(sqlite_book_url, tmp_path, before=prepare) as served:
        yield served


def test_calls_and_bodies_have_limits_where_they_are_set(limited: Served) -> None:
    too_large = limited.post("/api/v1/customers", content=b" " * 2_049)
    assert (too_large.code, too_large.json()["limit"]) == ("body_too_large", 2_048)
    slowed = limited.get("/api/v1/customers")
    assert (slowed.status, slowed.code) == (429, "rate_limited")
    assert int(slowed.headers["retry-after"]) > 100
    assert limited.get("/healthz").status == 200, "a probe is never slowed down"
    assert limited.get("/docs").status == 404 or limited.get("/docs").code == "not_found"


def test_a_book_that_cant_be_read_lets_nobody_in(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    see_at_once(monkeypatch)
    text, _ = a_key(served_on_sqlite, Scope.READ)

    def broken(connection: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(access_tasks, "list_keys", broken)
    assert served_on_sqlite.get("/api/v1/customers", headers=with_key(text)).code == "busy"
