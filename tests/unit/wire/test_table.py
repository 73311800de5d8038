"""The table finds what trying one route after another would find, words before parameters."""

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.routing import Match

from tallybook.entrypoints.api import make_routes
from tallybook.wire.calls import Call
from tallybook.wire.routes import CallRoute, Router
from tallybook.wire.table import RouteTable

PATHS = [
    "/a",
    "/a/{x}",
    "/a/b",
    "/a/{x}/c",
    "/a/b/d",
    "/a/{x}/{y}",
    "/a/{x}/c/{y}/e",
    "/{x}/c",
    "/a/{z}/d",
    "/q/{x}/d",
]


def make(paths: list[str]) -> list[CallRoute]:
    """Make a route a path, whose function takes the path's parameters."""
    router = Router()
    for path in paths:
        hints = {"call": Call} | dict.fromkeys(re.findall(r"{(\w+)", path), str)

        async def take(**_: object) -> Response:
            raise AssertionError("nothing is run here")

        keyword = inspect.Parameter.KEYWORD_ONLY
        take.__annotations__ = hints
        take.__signature__ = inspect.Signature(
            [inspect.Parameter(name, keyword, annotation=hint) for name, hint in hints.items()]
        )
        router.post(path)(take)
    return router.routes()


def tried(routes: list[CallRoute], method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Find a route by trying all, most words first."""
    scope = {"type": "http", "method": method, "path": path}
    found = [
        (route.path, child["path_params"])
        for route in routes
        for match, child in [route.matches(scope)]
        if match is Match.FULL
    ]
    if not found:
        return None
    return min(found, key=lambda one: [part.startswith("{") for part in one[0].split("/")])


def found(routes: list[CallRoute], method: str, path: str) -> tuple[str, dict[str, str]] | None:
    hit = RouteTable(routes).find(method, path)
    return None if hit is None else (hit[0].path, hit[1])


ROUTES = make(PATHS)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "q", "7", "", "ü"]), max_size=6))
def test_the_table_finds_what_trying_finds(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert found(ROUTES, "POST", path) == tried(ROUTES, "POST", path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", ("/a/b", {})),
        ("/a/z", ("/a/{x}", {"x": "z"})),
        ("/a/b/c", ("/a/{x}/c", {"x": "b"})),
        ("/a/b/d", ("/a/b/d", {})),
        ("/a/q/d", ("/a/{z}/d", {"z": "q"})),
        ("/a/b/e", ("/a/{x}/{y}", {"x": "b", "y": "e"})),
        ("/a/b/c/7/e", ("/a/{x}/c/{y}/e", {"x": "b", "y": "7"})),
        ("/q/c", ("/{x}/c", {"x": "q"})),
        ("/a/", None),
        ("/a//c", None),
        ("a", None),
        ("", None),
        ("/a/b/c/7/e/", None),
        ("/a/b\n", ("/a/{x}", {"x": "b\n"})),
        ("/a\n", None),
    ],
)
def test_words_go_before_parameters_and_nothing_is_empty(path: str, expected: object) -> None:
    assert found(ROUTES, "POST", path) == expected


def test_another_method_is_left_to_the_framework() -> None:
    assert found(ROUTES, "GET", "/a") is None
    assert found([], "GET", "/") is None


def test_the_first_of_two_equal_routes_is_the_one() -> None:
    one, other = make(["/a/{x}"])[0], make(["/a/{x}"])[0]
    hit = RouteTable([one, other]).find("POST", "/a/1")
    assert hit is not None
    assert hit[0] is one


def test_every_route_of_ours_is_found_and_hides_no_other() -> None:
    routes = make_routes("/api/v1")
    table = RouteTable(routes)
    for route in routes:
        path = re.sub(r"{\w+}", "something", route.path)
        for method in route.methods or ():
            hit = table.find(method, path)
            assert hit is not None, route.path
            assert (hit[0].path, set(hit[1])) == (route.path, set(route.param_convertors))
            scope = {"type": "http", "method": method, "path": path}
            matching = [r for r in routes if r.matches(scope)[0] is Match.FULL]
            assert [r.path for r in matching] == [route.path], "two routes take the same address"
