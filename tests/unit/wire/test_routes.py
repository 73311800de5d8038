"""Routes: what a call is given, how it is described, and what is refused of a query."""

import asyncio
import json
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Path, Query
from starlette.responses import JSONResponse, Response

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.body import BODY_LIMIT, JSON
from tallybook.wire.calls import Call, body_id, path_id
from tallybook.wire.fields import Answer, Body, Count, Day
from tallybook.wire.openapi import openapi_document
from tallybook.wire.paging import InPage, ListOf
from tallybook.wire.problems import add_problem_handlers
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import CallRoute, Router


class Order(Body):
    count: Count


class Ordered(Answer):
    """What was ordered."""

    count: int


ROUTER = Router("orders")


@ROUTER.post("/orders", status_code=201, response_model=Ordered)
async def order(call: Call, body: Order) -> Response:
    """Order something."""
    return JSONResponse({"count": body.count, "key": call.key}, 201)


@ROUTER.post("/lists", openapi_extra={"x-body-limit": 100_000})
async def order_many(call: Call, body: Order | list[Order]) -> Response:
    """Order one thing or a list."""
    return JSONResponse({"count": len(body) if isinstance(body, list) else 1})


@ROUTER.post("/runs")
async def run(call: Call, body: Order | None = None) -> Response:
    """Run, with a body or without."""
    return JSONResponse({"given": body is not None})


@ROUTER.put("/orders/{number}/lines/{line}", responses=refusals("customer_not_found"))
async def change_line(
    call: Call, number: Annotated[int, Path(ge=1, le=99)], line: str, body: Order
) -> Response:
    """Change a line."""
    return JSONResponse({"number": number, "line": line})


@ROUTER.post("/files")
async def take_file(call: Call) -> Response:
    """Take a file that is not JSON."""
    content = await call.read("text/csv", limit=10)
    return JSONResponse({"length": len(content)})


@ROUTER.get("/orders", response_model=ListOf[Ordered])
def list_orders(after: int = 0) -> Any:
    """List orders."""
    return {"data": [{"count": after}], "has_more": False}


@ROUTER.get("/orders/{number}/lines", response_model=ListOf[Ordered])
def list_lines(page: InPage, number: Annotated[int, Path(ge=1)], on: Day | None = None) -> Any:
    """List the lines of an order: nobody has any on Sundays."""
    if on is not None and on.isoweekday() == 7:
        raise Refused(Refusal("customer_not_found"))
    shown = [{"count": number}] * page.limit
    return {"data": shown, "has_more": page.starting_after is not None}


@ROUTER.post("/orders/{number}/runs")
async def run_order(
    call: Call, number: int, body: Order, on: Annotated[Day | None, Query()] = None
) -> Response:
    """Run an order on a day."""
    return JSONResponse({"number": number, "count": body.count, "on": str(on), "key": call.key})


def make_app() -> FastAPI:
    app = FastAPI()
    app.state.engine = SimpleNamespace(settings=SimpleNamespace(body_limit=BODY_LIMIT))
    app.router.routes.extend(ROUTER.routes("/v1"))
    add_problem_handlers(app)
    return app


def ask(
    method: str, path: str, body: bytes = b"", query: str = "", **headers: str
) -> tuple[int, Any]:
    """Ask the application itself, without a server."""
    sent: list[Any] = []
    raw = {"content-type": JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": f"/v1{path}",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in raw.items() if value],
    }
    asyncio.run(make_app()(scope, receive, send))
    answer = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(answer)


def test_a_call_is_given_its_body_and_key() -> None:
    assert ask("POST", "/orders", b'{"count": 2}') == (201, {"count": 2, "key": None})
    answer = ask("POST", "/orders", b'{"count": 2}', idempotency_key="k 1")
    assert answer == (201, {"count": 2, "key": "k 1"})


def test_a_body_may_be_one_or_a_list() -> None:
    assert ask("POST", "/lists", b'{"count": 2}') == (200, {"count": 1})
    assert ask("POST", "/lists", b'[{"count": 2}, {"count": 3}]') == (200, {"count": 2})
    assert ask("POST", "/lists", b'[{"count": "2"}]')[0] == 422


def test_a_limit_may_be_the_calls_own() -> None:
    long = b'{"count": 1' + b" " * 90_000 + b"}"
    assert ask("POST", "/lists", long)[0] == 200
    assert ask("POST", "/orders", long)[1]["code"] == "body_too_large"


def test_a_body_may_be_left_out_where_the_call_says_so() -> None:
    assert ask("POST", "/runs", content_type="") == (200, {"given": False})
    assert ask("POST", "/runs", b'{"count": 1}') == (200, {"given": True})
    assert ask("POST", "/runs", b'{"count": 1}', content_type="text/plain")[0] == 415
    assert ask("POST", "/orders", content_type="")[0] == 415


def test_a_file_is_read_as_it_stands() -> None:
    assert ask("POST", "/files", b"a,b\n", content_type="text/csv") == (200, {"length": 4})
    assert ask("POST", "/files", content_type="") == (200, {"length": 0})
    assert ask("POST", "/files", b"a", content_type="text/html")[0] == 415
    assert ask("POST", "/files", b"x" * 11, content_type="text/csv")[0] == 413


def test_what_stands_in_the_path_is_read_as_it_is_declared() -> None:
    body = b'{"count": 1}'
    assert ask("PUT", "/orders/7/lines/x", body) == (200, {"number": 7, "line": "x"})
    for bad in ("0/lines/x", "100/lines/x", "x/lines/x", "1.5/lines/x", "7/lines/a\0b",
                "9" * 5_000 + "/lines/x", "\u0667x/lines/x"):  # fmt: skip
        status, problem = ask("PUT", f"/orders/{bad}", body)
        assert (status, problem["code"]) == (404, "id_invalid")


def test_queries_are_held_to_what_is_declared() -> None:
    assert ask("GET", "/orders", query="after=3")[1]["data"] == [{"count": 3}]
    for query in ("befor=3", "after=1&after=2", "after=3&x", "after=x"):
        status, problem = ask("GET", "/orders", query=query)
        assert (status, problem["code"]) == (422, "field_invalid")
    assert ask("POST", "/orders", b'{"count": 2}', query="count=3")[1]["param"] == "count"


def test_a_read_takes_a_page_a_path_and_a_query() -> None:
    status, lines = ask("GET", "/orders/7/lines")
    assert (status, len(lines["data"]), lines["has_more"]) == (200, 20, False)
    assert lines["data"][0] == {"count": 7}
    lines = ask("GET", "/orders/7/lines", query="limit=2&starting_after=x&on=2026-03-02")[1]
    assert lines == {"data": [{"count": 7}] * 2, "has_more": True}
    assert ask("GET", "/orders/7/lines", query="on=2026-03-01")[1]["code"] == "customer_not_found"


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("x", "", 404, "id_invalid"),
        ("0", "", 404, "id_invalid"),
        ("7", "limit=0", 422, "field_invalid"),
        ("7", "limit=101", 422, "field_invalid"),
        ("7", "limit=", 422, "field_invalid"),
        ("7", "starting_after=" + "9" * 65, 422, "field_invalid"),
        ("7", "on=2026-02-30", 422, "date_invalid"),
        ("7", "page=1", 422, "field_invalid"),
        ("7", "number=8", 422, "field_invalid"),
        ("x", "limit=0", 422, "field_invalid"),
    ],
)
def test_what_a_read_can_not_use_is_refused(path: str, query: str, status: int, code: str) -> None:
    answer = ask("GET", f"/orders/{path}/lines", query=query)
    assert (answer[0], answer[1]["code"]) == (status, code)


def test_a_write_may_take_a_query_as_well() -> None:
    body = b'{"count": 2}'
    answer = ask("POST", "/orders/7/runs", body, query="on=2026-03-01", idempotency_key="k")
    assert answer == (200, {"number": 7, "count": 2, "on": "2026-03-01", "key": "k"})
    assert ask("POST", "/orders/7/runs", body)[1]["on"] == "None"
    assert ask("POST", "/orders/7/runs", body, query="on=x")[1]["code"] == "date_invalid"


def test_fastapi_describes_calls_and_runs_none_of_them() -> None:
    routes = [route for route in make_app().routes if isinstance(route, CallRoute)]
    document = openapi_document(routes, "T", "1")
    post = document["paths"]["/v1/orders"]["post"]
    assert post["operationId"] == "order"
    assert post["tags"] == ["orders"]
    assert post["requestBody"]["content"][JSON]["schema"]["$ref"].endswith("/Order")
    assert post["responses"]["201"]["content"][JSON]["schema"]["$ref"].endswith("/Ordered")
    assert [parameter["name"] for parameter in post["parameters"]] == ["Idempotency-Key"]
    problems = post["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert "key_invalid" in problems["properties"]["code"]["enum"]
    put = document["paths"]["/v1/orders/{number}/lines/{line}"]["put"]
    assert {parameter["name"] for parameter in put["parameters"] if parameter["in"] == "path"} == {
        "number",
        "line",
    }
    codes = put["responses"]["404"]["x-refusals"]
    assert codes == ["customer_not_found", "id_invalid"]
    assert "required" not in document["paths"]["/v1/runs"]["post"].get("requestBody", {})
    described = [route.described.endpoint for route in routes if route.is_write]
    for endpoint in described:
        with pytest.raises(AssertionError):
            asyncio.run(endpoint())


def test_ids_are_read_by_their_kind() -> None:
    ident = "0" * 32
    assert path_id("cus", f"cus_{ident}") == ident
    assert body_id("cus", f"cus_{ident}", param="customer_id", code="customer_not_found") == ident
    with pytest.raises(Refused) as caught:
        path_id("cus", f"adv_{ident}")
    assert caught.value.refusal.code == "id_invalid"
    with pytest.raises(Refused) as caught:
        body_id("cus", "7", param="customer_id", code="customer_not_found")
    assert (caught.value.refusal.code, caught.value.refusal.param) == (
        "customer_not_found",
        "customer_id",
    )
