"""The pages and probes around the calls: docs, health, readiness, metrics, headers, the log."""

import json
import logging
import re
import sqlite3
from typing import Any

import pytest

from tests.serving import Served, wait_until

ASHA = {"name": "Asha", "email": "asha@example.org", "bank_accounts": ["55512345678901"]}


def test_the_docs_need_no_network(served_on_sqlite: Served) -> None:
    page = served_on_sqlite.get("/docs")
    assert page.status == 200
    html = page.body.decode()
    assert "//" not in re.sub(r"<!doctype html>", "", html), "nothing from elsewhere"
    assert "<script>" not in html, "nothing inline"
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', html):
        asset = served_on_sqlite.get(f"/{name}")
        assert asset.status == 200
        assert asset.body
    document = served_on_sqlite.get("/openapi.json")
    assert document.json()["info"]["title"] == "Tallybook"
    assert served_on_sqlite.get("/docs/../api.py").status == 404
    assert served_on_sqlite.get("/docs/swagger-ui.LICENSE").code == "not_found"


def test_the_front_leads_to_the_docs(served_on_sqlite: Served) -> None:
    front = served_on_sqlite.get("/")
    assert (front.status, front.headers["location"]) == (307, "docs")


def test_every_answer_is_marked(served_on_sqlite: Served) -> None:
    for path in ("/healthz", "/docs", "/nothing", "/api/v1/customers", "/openapi.json"):
        headers = served_on_sqlite.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" in headers
        assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])
        assert headers["cache-control"] == "no-store"


def test_a_server_is_ready_while_it_can_write(served: Served) -> None:
    assert served.get("/healthz").json() == {"status": "ok"}
    ready = served.get("/readyz")
    assert (ready.status, ready.json()["ready"]) == (200, True)

    served.parts.door.close()

    ready = served.get("/readyz")
    assert ready.status == 503
    assert ready.json()["checks"]["writer"] == "the writer is not running"
    assert served.get("/healthz").status == 200


def test_a_server_is_not_ready_after_a_write_that_was_given_up(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("tallybook.writer.lane.transact", full)
        assert served_on_sqlite.post("/api/v1/customers", ASHA).code == "busy"
    ready = served_on_sqlite.get("/readyz")
    assert ready.status == 503
    assert ready.json()["checks"]["writer"] == "a write was given up: the database failed"
    assert served_on_sqlite.post("/api/v1/customers", ASHA).status == 201
    assert served_on_sqlite.get("/readyz").status == 200


def test_a_server_is_ready_again_soon_where_nothing_is_written(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told that it is not ready may send it nothing: then no write can show that it is."""

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("tallybook.writer.lane.transact", full)
    monkeypatch.setattr("tallybook.writer.lane.RECENT_SECONDS", 0)
    assert served_on_sqlite.post("/api/v1/customers", ASHA).code == "busy"
    assert served_on_sqlite.get("/readyz").status == 200


def test_a_server_on_an_older_database_is_not_ready(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.db.migrate.HEAD", "9999")
    ready = served.get("/readyz")
    assert ready.status == 503
    assert "not 9999" in ready.json()["checks"]["database"]


def test_metrics_count_by_route_and_class(served_on_sqlite: Served) -> None:
    ident = served_on_sqlite.post("/api/v1/customers", ASHA).json()["id"]
    served_on_sqlite.get(f"/api/v1/customers/{ident}")
    served_on_sqlite.get("/api/v1/customers/cus_" + "0" * 32)
    served_on_sqlite.get("/some/address/12345678")

    exposed = served_on_sqlite.get("/metrics").body.decode()

    def count(route: str, method: str, status: str) -> str:
        labels = f'{{method="{method}",route="{route}",status="{status}"}}'
        return f"tallybook_http_requests_total{labels} 1.0"

    assert count("/api/v1/customers", "POST", "2xx") in exposed
    assert count("/api/v1/customers/{customer_id}", "GET", "2xx") in exposed
    assert count("/api/v1/customers/{customer_id}", "GET", "4xx") in exposed
    assert count("(none)", "GET", "4xx") in exposed
    assert "tallybook_writer_batch_commands_count 1.0" in exposed
    assert "tallybook_writer_waiting_commands 0.0" in exposed
    assert "12345678" not in exposed
    assert ident not in exposed


def test_the_log_tells_what_was_done_and_no_more(
    served_on_sqlite: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def lines() -> list[dict[str, Any]]:
        return [record.__dict__ for record in caplog.records if record.name == "tallybook.http"]

    with caplog.at_level(logging.DEBUG, logger="tallybook"):
        for quiet in ("/healthz", "/readyz", "/metrics"):
            served_on_sqlite.get(quiet)
        ident = served_on_sqlite.post("/api/v1/customers", ASHA, key="the-secret-key").json()["id"]
        served_on_sqlite.post("/api/v1/customers", ASHA)
        served_on_sqlite.get(f"/api/v1/customers/{ident}?limit=55512345678901")
        served_on_sqlite.get("/api/v1/customers/55512345678901")
        served_on_sqlite.get("/docs/55512345678901")
        wait_until(lambda: len(lines()) == 5, seconds=5)  # a line is written after its answer

    told = [(x["method"], x["route"], x["status"], x.get("refusal")) for x in lines()]
    assert told == [
        ("POST", "/api/v1/customers", 201, None),
        ("POST", "/api/v1/customers", 409, "email_taken"),
        ("GET", "/api/v1/customers/{customer_id}", 422, "field_invalid"),
        ("GET", "/api/v1/customers/{customer_id}", 404, "id_invalid"),
        ("GET", "/docs/{name}", 404, "not_found"),
    ]
    assert lines()[0]["command"] == "customers.create_customer"
    assert lines()[2]["subject_ids"] == [ident]
    everything = json.dumps([record.__dict__ for record in caplog.records], default=str)
    for secret in ("the-secret-key", "55512345678901", "asha@example.org"):
        assert secret not in everything
