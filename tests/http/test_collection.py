"""Runs, reports and operator items over real HTTP, on both databases."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tallybook.collection.operations.runs import START_RUN, StartRun
from tallybook.collection.tasks import requests
from tallybook.processor.client import HttpProcessor
from tallybook.processor.faults import Faults, Odds
from tallybook.processor.port import Direction
from tallybook.writer.model import Command, Reply
from tests.billing import API, FIRST_DAY, NUMBER, Billing, lines, serve_billing
from tests.http.processor_peers import GOOD, Peer, closed_port, drips, hangs, peer, says
from tests.serving import Answer

ELSEWHERE = "another-machine+0/1/1"


@pytest.fixture
def billing(book_url: str, tmp_path: Path) -> Iterator[Billing]:
    with serve_billing(book_url, tmp_path) as served:
        yield served


@pytest.fixture
def on_sqlite(sqlite_book_url: str, tmp_path: Path) -> Iterator[Billing]:
    with serve_billing(sqlite_book_url, tmp_path) as served:
        yield served


def set_faults(billing: Billing, text: str) -> None:
    """Give the simulator other faults from now on."""
    billing.simulator.faults = Faults.parse(text)
    billing.simulator._odds = Odds(billing.simulator.faults, 7)


def resolve(billing: Billing, item: Any, action: str, **more: Any) -> Answer:
    key = more.pop("key", None)
    body = {"action": action, "reason": "looked it up", **more}
    return billing.call(f"/operator-items/{item['id']}/resolution", body, key=key)


# -- runs ------------------------------------------------------------------------------------------


def test_a_date_is_run_once(billing: Billing) -> None:
    billing.customer()
    made = billing.advance()
    billing.next_day()

    first, again = billing.run(), billing.run(business_date="2026-03-03")

    assert (first.status, again.status) == (201, 200)
    assert first.json() == again.json()
    body = first.json()
    assert (body["business_date"], body["status"]) == ("2026-03-03", "finished")
    assert body["summary"]["settled"] == {"credit_succeeded": {"count": 1, "USD": "120.00"}}
    assert billing.read(f"/advances/{made['id']}")["status"] == "active"
    (listed, before) = billing.read("/runs")["data"]
    assert listed == body
    assert before["summary"]["sending_stopped"] == "missed", "the payout's own date had no run"


def test_a_run_needs_no_body(on_sqlite: Billing) -> None:
    assert on_sqlite.call("/runs").status == 201


def test_copies_of_a_run_get_its_one_reply(billing: Billing) -> None:
    billing.customer()
    billing.activate()
    billing.next_day(7)
    arrived = len(billing.arrivals())

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: billing.call("/runs", key="run"), range(10)))

    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert len(billing.arrivals()) == arrived + 1
    other = billing.call("/runs", {"business_date": "2026-03-04"}, key="run")
    assert other.code == "key_reused_with_other_input"


def test_missed_dates_are_caught_up_and_listed(on_sqlite: Billing) -> None:
    on_sqlite.run()
    on_sqlite.next_day(3)
    assert on_sqlite.run().status == 201
    days = [run["business_date"] for run in on_sqlite.read("/runs")["data"]]
    assert days == ["2026-03-05", "2026-03-04", "2026-03-03", "2026-03-02"]
    page = on_sqlite.read("/runs?limit=2")
    assert page["has_more"]
    rest = on_sqlite.read(f"/runs?starting_after={page['data'][-1]['id']}")["data"]
    assert [run["business_date"] for run in rest] == days[2:]
    assert on_sqlite.get(f"{API}/runs?starting_after=x").code == "field_invalid"


def test_a_books_first_run_begins_with_the_first_date_that_something_was_sent_on(
    on_sqlite: Billing,
) -> None:
    on_sqlite.customer()
    on_sqlite.advance()
    on_sqlite.next_day(3)
    assert on_sqlite.run().status == 201
    days = [run["business_date"] for run in on_sqlite.read("/runs")["data"]]
    assert days == ["2026-03-05", "2026-03-04", "2026-03-03", "2026-03-02"]


def test_a_run_out_of_order_is_refused(on_sqlite: Billing) -> None:
    on_sqlite.run()
    refused = on_sqlite.run(business_date="2026-03-01")
    assert (refused.status, refused.code) == (409, "run_out_of_order")
    assert refused.json()["last"] == "2026-03-02"
    assert on_sqlite.run(business_date="2026-02-30").code == "date_invalid"


def test_a_run_of_another_process_is_in_progress(billing: Billing) -> None:
    day = FIRST_DAY.date()
    billing.engine.door.ask_now(Command(START_RUN, StartRun(day, ELSEWHERE)))
    refused = billing.run()
    assert (refused.status, refused.code) == (409, "run_in_progress")
    # Its lease is over, so that it is dead for all that anyone knows.
    billing.clock.advance(seconds=61)
    assert billing.run().status == 201


def test_a_live_processor_is_never_run_ahead(sqlite_book_url: str, tmp_path: Path) -> None:
    with serve_billing(sqlite_book_url, tmp_path) as billing:
        billing.engine.settings = billing.engine.settings.model_copy(
            update={"processor_live": True, "processor_url": "https://processor.example"}
        )
        assert billing.engine.is_live
        refused = billing.run(business_date="2026-03-03")
        assert (refused.status, refused.code) == (422, "run_in_future")


def test_a_request_whose_process_died_is_done_by_its_copy(
    on_sqlite: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "COPY_SECONDS", 0.2)
    begun = requests.BeginRequest("runs", (None,))
    on_sqlite.engine.door.ask_now(Command(requests.BEGIN_REQUEST, begun, "dead"))
    done, again = on_sqlite.call("/runs", key="dead"), on_sqlite.call("/runs", key="dead")
    assert (done.status, again.status) == (201, 201)
    assert done.body == again.body


def test_a_copy_that_waited_in_vain_leaves_the_reply_to_whoever_is_at_work(
    on_sqlite: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "COPY_SECONDS", 0.2)
    begun = requests.BeginRequest("runs", (None,))
    on_sqlite.engine.door.ask_now(Command(requests.BEGIN_REQUEST, begun, "long"))
    on_sqlite.engine.door.ask_now(Command(START_RUN, StartRun(FIRST_DAY.date(), ELSEWHERE)))
    assert on_sqlite.call("/runs", key="long").code == "run_in_progress"
    # Its reply, when it comes, is the one.
    done = requests.CompleteRequest("runs", "long", Reply(201, {"by": "elsewhere"}))
    on_sqlite.engine.door.ask_now(Command(requests.COMPLETE_REQUEST, done))
    assert on_sqlite.call("/runs", key="long").json() == {"by": "elsewhere"}


# -- reports ---------------------------------------------------------------------------------------


def test_a_report_is_downloaded_and_settled_with(billing: Billing) -> None:
    billing.customer()
    made = billing.advance()
    billing.next_day()

    taken = billing.call("/processor-reports")
    again = billing.call("/processor-reports")

    assert (taken.status, again.status) == (201, 200)
    body = taken.json()
    assert (body["status"], body["rows"], body["new"]) == ("complete", 1, 1)
    assert body["settled"] == {"credit_succeeded": {"count": 1, "USD": "120.00"}}
    assert body["replanned"] == {"activated": {"count": 1, "USD": "120.00"}}
    assert again.json()["settled"] == {}
    assert billing.read(f"/advances/{made['id']}")["status"] == "active"
    (listed,) = billing.read("/processor-reports")["data"]
    assert listed == {name: body[name] for name in listed}


def test_a_report_file_is_taken_once_under_its_key(billing: Billing) -> None:
    billing.customer()
    made = billing.advance()
    text = lines(f"{made['transaction_id']},success")

    first, again = billing.report(text, key="r"), billing.report(text, key="r")
    other = billing.report(lines("txn_1,fail"), key="r")

    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert other.code == "key_reused_with_other_input"
    assert billing.read(f"/advances/{made['id']}")["status"] == "active"


def test_news_that_comes_late_folds_the_same(billing: Billing) -> None:
    """A later report first, the earlier one after it: success, then fail, is returned."""
    billing.customer()
    made = billing.advance()
    ident = made["transaction_id"]
    billing.next_day(3)

    def hand_in(result: str, day: str) -> Answer:
        return billing.report(
            lines(f"{ident},{result}"), path=f"/processor-reports?report_on={day}"
        )

    assert hand_in("fail", "2026-03-05").status == 201
    assert billing.read(f"/advances/{made['id']}")["status"] == "failed"
    assert hand_in("success", "2026-03-04").status == 201
    assert billing.read(f"/advances/{made['id']}")["status"] == "failed"
    (row,) = billing.read("/report")["data"]
    assert row["result"] == "fail"
    assert billing.items() == []


UNREADABLE = {
    "empty": b"",
    "html": b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>\n",
    "binary": bytes(range(256)) * 4,
    "zip": b"PK\x03\x04" + b"\0" * 200,
    "json": b'{"transactions": []}',
    "no trailer": b"transaction_id,result\n",
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_report_that_can_not_be_read_covers_no_day(on_sqlite: Billing, case: str) -> None:
    on_sqlite.customer()
    made = on_sqlite.advance()
    refused = on_sqlite.report(UNREADABLE[case])
    assert (refused.status, refused.code) == (422, "report_unreadable")
    assert refused.json()["problems"]
    (kept,) = on_sqlite.read("/processor-reports")["data"]
    assert (kept["status"], kept["rows"]) == ("incomplete", 0)
    assert on_sqlite.read(f"/advances/{made['id']}")["status"] == "pending"


def test_what_a_broken_report_says_is_used(billing: Billing) -> None:
    billing.customer()
    first, second = billing.advance()["transaction_id"], billing.advance()["transaction_id"]
    whole = lines(f"{first},success", f"{second},success")
    cut = whole[: whole.index(second) + 6]

    taken = billing.report(cut)

    assert taken.status == 201
    assert (taken.json()["status"], taken.json()["new"]) == ("incomplete", 1)
    assert [code for _, code in taken.json()["problems"]] == ["line_cut", "trailer_missing"]
    states = [advance["status"] for advance in billing.read("/advances")["data"]]
    assert states == ["pending", "active"]
    assert billing.report(whole.encode("utf-16")).json()["settled"] == {
        "credit_succeeded": {"count": 1, "USD": "120.00"}
    }


def test_unknown_ids_wait_and_repeated_rows_count_once(billing: Billing) -> None:
    billing.customer()
    ident = billing.advance()["transaction_id"]
    row = f"{ident},success"
    taken = billing.report(lines(row, row, "txn_x,success", "txn_x,success", row))
    assert taken.json()["settled"] == {
        "credit_succeeded": {"count": 1, "USD": "120.00"},
        "orphan": {"count": 1},
    }
    (item,) = billing.items()
    assert (item["kind"], item["transaction_id"]) == ("orphan", "txn_x")
    assert item["actions"] == ["confirm_executed", "adopt", "dismiss"]


def test_rows_that_contradict_each_other_wait_for_a_person(billing: Billing) -> None:
    billing.customer()
    made = billing.advance()
    ident = made["transaction_id"]
    billing.report(lines(f"{ident},fail"))
    billing.next_day()
    assert billing.report(lines(f"{ident},fail", f"{ident},success")).status == 201
    assert billing.read(f"/advances/{made['id']}")["status"] == "failed"
    (item,) = billing.items()
    assert item["kind"] == "contradiction"
    assert resolve(billing, item, "confirm_executed").status == 200
    assert billing.read(f"/advances/{made['id']}")["status"] == "active"
    assert billing.items() == []


def test_reports_are_refused_by_date_type_and_size(
    on_sqlite: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = lines()
    (refused, today) = (
        on_sqlite.call(f"/processor-reports?report_on={day}")
        for day in ("2026-02-28", "2026-03-02")
    )
    assert (refused.status, refused.code) == (422, "report_file_needed")
    assert (today.status, today.json()["report_on"]) == (201, "2026-03-02")
    for path, code in (
        ("/processor-reports?report_on=2026-03-03", "date_in_future"),
        ("/processor-reports?report_on=tomorrow", "date_invalid"),
        ("/processor-reports?day=2026-03-01", "field_invalid"),
    ):
        assert on_sqlite.report(text, path=path).code == code
    refused = on_sqlite.report(text, headers={"Content-Type": "application/json"})
    assert (refused.status, refused.code) == (415, "content_type_unsupported")
    assert on_sqlite.report(text, key="").code == "key_invalid"
    monkeypatch.setattr("tallybook.collection.http.routes.REPORT_LIMIT", 100)
    assert on_sqlite.report(b" " * 101).code == "body_too_large"
    assert len(on_sqlite.read("/processor-reports")["data"]) == 1


def test_a_long_report_passes_the_usual_limit(on_sqlite: Billing) -> None:
    rows = [f"txn_{number:08d},success" for number in range(5_000)]
    taken = on_sqlite.report(lines(*rows))
    assert taken.status == 201
    assert taken.json()["settled"] == {"orphan": {"count": 5_000}}


def test_reports_are_paged(on_sqlite: Billing) -> None:
    days = ["2026-03-02", "2026-03-01", "2026-02-28"]
    for day in days:
        path = f"/processor-reports?report_on={day}"
        assert on_sqlite.report(lines(), path=path).status == 201
    page = on_sqlite.read("/processor-reports?limit=2")
    after = page["data"][-1]["id"]
    rest = on_sqlite.read(f"/processor-reports?starting_after={after}")["data"]
    assert [report["report_on"] for report in (*page["data"], *rest)] == days
    nobody = on_sqlite.get(f"{API}/processor-reports?starting_after=rep_{'0' * 32}")
    assert nobody.code == "field_invalid"


def test_no_report_to_be_had_is_told(book_url: str, tmp_path: Path) -> None:
    with serve_billing(book_url, tmp_path, faults="missing_report=1") as billing:
        refused = billing.call("/processor-reports")
        assert (refused.status, refused.code) == (502, "processor_unavailable")
        assert billing.run().json()["summary"]["report"]["status"] == "unavailable"


# -- operator items --------------------------------------------------------------------------------


def unknown(billing: Billing, faults: str = "lost_after=1") -> tuple[Any, Any]:
    """Have an advance whose outcome nobody knows; the Processor is well again afterwards."""
    billing.customer()
    set_faults(billing, faults)
    made = billing.call("/advances", {"dst_bank_account": NUMBER, "amount": "120"})
    assert made.status == 202
    set_faults(billing, "")
    (item,) = billing.items()
    return made.json(), item


def test_a_person_confirms_what_was_executed(billing: Billing) -> None:
    made, item = unknown(billing)
    (arrived,) = billing.arrivals()

    ruled = resolve(
        billing, item, "confirm_executed", transaction_id=arrived.transaction_id, key="1"
    )
    again = resolve(
        billing, item, "confirm_executed", transaction_id=arrived.transaction_id, key="1"
    )
    late = resolve(billing, item, "confirm_executed")

    assert (ruled.status, again.status) == (200, 200)
    assert ruled.body == again.body
    assert again.headers["idempotency-replayed"] == "true"
    assert (late.status, late.code) == (409, "operator_item_resolved")
    assert ruled.json()["action"] == "confirm_executed"
    assert billing.read(f"/advances/{made['id']}")["transaction_id"] == arrived.transaction_id
    billing.run_days(1)
    assert billing.read(f"/advances/{made['id']}")["status"] == "active"
    assert len(billing.arrivals()) == 1


def test_a_person_confirms_what_was_not_executed(billing: Billing) -> None:
    made, item = unknown(billing, "lost_before=1")
    assert resolve(billing, item, "confirm_not_executed").status == 200
    shown = billing.read(f"/advances/{made['id']}")
    assert (shown["status"], shown["outstanding"]) == ("failed", "0.00")


def test_an_orphan_finds_its_transfer(billing: Billing) -> None:
    made, item = unknown(billing)
    billing.next_day()
    billing.call("/processor-reports")
    (orphan,) = billing.items("?status=open&kind=orphan")

    missing = resolve(billing, orphan, "confirm_executed")
    nonsense = resolve(billing, orphan, "confirm_executed", transfer_id="trf_1")
    ruled = resolve(billing, orphan, "confirm_executed", transfer_id=item["transfer_id"])

    assert (missing.status, missing.code) == (422, "transfer_needed")
    assert (nonsense.status, nonsense.code) == (422, "transfer_needed")
    assert ruled.status == 200
    shown = billing.read(f"/advances/{made['id']}")
    assert (shown["status"], shown["transaction_id"]) == ("active", orphan["transaction_id"])
    assert billing.items() == []


def test_an_unknown_that_finds_its_id_answers_the_orphan(billing: Billing) -> None:
    made, item = unknown(billing)
    billing.next_day()
    billing.call("/processor-reports")
    (orphan,) = billing.items("?status=open&kind=orphan")

    ruled = resolve(billing, item, "confirm_executed", transaction_id=orphan["transaction_id"])

    assert ruled.status == 200
    assert billing.items() == []
    assert billing.read(f"/advances/{made['id']}")["status"] == "active"


def test_an_orphan_is_not_given_to_a_transfer_that_has_an_id(billing: Billing) -> None:
    billing.customer()
    made = billing.advance()
    (row,) = billing.read("/report")["data"]
    billing.report(lines("txn_x,success"))
    (orphan,) = billing.items()
    refused = resolve(billing, orphan, "confirm_executed", transfer_id=row["transfer_id"])
    assert (refused.status, refused.code) == (422, "transfer_needed")
    shown = billing.read(f"/advances/{made['id']}")
    assert (shown["status"], shown["transaction_id"]) == ("pending", made["transaction_id"])
    assert resolve(billing, orphan, "dismiss").status == 200
    assert billing.items() == []


def test_an_id_of_another_transfer_is_not_taken(billing: Billing) -> None:
    _, item = unknown(billing)
    other = billing.advance()["transaction_id"]
    refused = resolve(billing, item, "confirm_executed", transaction_id=other)
    assert (refused.status, refused.code) == (409, "transaction_id_taken")
    assert [each["id"] for each in billing.items()] == [item["id"]]


def test_a_pasted_id_with_blanks_around_it_is_the_id(billing: Billing) -> None:
    """Reports' rows are read so: they would be of no transfer else, and could be given to none."""
    made, item = unknown(billing)
    pasted = resolve(billing, item, "confirm_executed", transaction_id=" txn_9 ")
    assert pasted.status == 200
    assert billing.read(f"/advances/{made['id']}")["transaction_id"] == "txn_9"


def test_two_people_rule_once(billing: Billing) -> None:
    _, item = unknown(billing)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: resolve(billing, item, "confirm_not_executed"), range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7


def test_items_are_filtered_and_refused(on_sqlite: Billing) -> None:
    on_sqlite.report(lines("txn_1,success", "txn_2,fail"))
    both = on_sqlite.items("")
    assert [item["transaction_id"] for item in both] == ["txn_2", "txn_1"]
    page = on_sqlite.read("/operator-items?limit=1")
    assert page["has_more"]
    assert on_sqlite.items(f"?starting_after={both[0]['id']}") == both[1:]
    assert on_sqlite.items("?kind=unknown") == []
    wrong = resolve(on_sqlite, both[0], "release")
    assert (wrong.status, wrong.code) == (409, "action_not_allowed")
    assert wrong.json()["allowed"] == "confirm_executed, adopt, dismiss"
    assert resolve(on_sqlite, both[0], "explode").code == "field_invalid"
    assert resolve(on_sqlite, {"id": f"itm_{'0' * 32}"}, "dismiss").code == (
        "operator_item_not_found"
    )
    assert resolve(on_sqlite, {"id": "7"}, "dismiss").code == "id_invalid"
    assert on_sqlite.get(f"{API}/operator-items?status=shut").code == "field_invalid"
    assert on_sqlite.items("?status=resolved") == []


# -- a Processor that misbehaves on a real socket --------------------------------------------------


@pytest.mark.parametrize(
    ("behaves", "status", "reason"),
    [
        (hangs, 202, "timeout"),
        (drips(GOOD, 0.2), 202, "timeout"),
        (says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), 202, "status_500"),
        (says(b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n"), 502, None),
        (says(GOOD), 201, None),
    ],
    ids=["hangs", "drips", "breaks", "refuses", "is well"],
)
def test_a_processor_on_the_wire(
    book_url: str, tmp_path: Path, behaves: Peer, status: int, reason: str | None
) -> None:
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(loop.run_forever)
        stack = peer(behaves)
        url, seen = asyncio.run_coroutine_threadsafe(stack.__aenter__(), loop).result()
        client = HttpProcessor(url, timeout_seconds=1)
        try:
            with serve_billing(book_url, tmp_path, processor=client) as billing:
                billing.customer()
                made = billing.call(
                    "/advances", {"dst_bank_account": NUMBER, "amount": "1"}, key="k"
                )
                again = billing.call(
                    "/advances", {"dst_bank_account": NUMBER, "amount": "1"}, key="k"
                )
                assert (made.status, again.status) == (status, status)
                assert made.body == again.body
                assert seen.connections == 1
                if status == 202:
                    (row,) = billing.read("/report")["data"]
                    assert (row["result"], row["reason"]) == ("unknown", reason)
                    assert len(billing.items()) == 1
                else:
                    assert billing.items() == []
        finally:
            asyncio.run_coroutine_threadsafe(stack.__aexit__(None, None, None), loop).result()
            loop.call_soon_threadsafe(loop.stop)
    loop.close()


def test_a_processor_that_is_not_there(book_url: str, tmp_path: Path) -> None:
    with (
        closed_port() as url,
        serve_billing(book_url, tmp_path, processor=HttpProcessor(url)) as billing,
    ):
        billing.customer()
        made = billing.call("/advances", {"dst_bank_account": NUMBER, "amount": "1"})
        assert (made.status, made.code) == (502, "processor_rejected")
        assert billing.call("/processor-reports").code == "processor_unavailable"


def test_what_the_processor_is_told_and_what_is_shown(billing: Billing) -> None:
    billing.customer()
    billing.advance("12.5")
    (arrived,) = billing.arrivals()
    assert arrived.dst_bank_account == NUMBER.replace(" ", "")
    assert arrived.direction is Direction.CREDIT
    (row,) = billing.read("/report")["data"]
    assert row["account_last4"] == "3000"
    assert row["transfer_id"] == f"trf_{arrived.reference}"
