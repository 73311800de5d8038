"""The table of routes: the right one in a few steps, however many there are.

Trying one regular expression after another, as the framework does, costs more than the call itself
once there are a hundred routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from tallybook.wire.routes import CallRoute

Found = tuple[CallRoute, dict[str, str]]
"""A route, and what stood in the path for its parameters."""


@dataclass(slots=True)
class _Node:
    """What may follow a path so far."""

    words: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    route: CallRoute | None = None


class RouteTable:
    """Finds a route by method and path, segment by segment; a word goes before a parameter."""

    def __init__(self, routes: Sequence[CallRoute]) -> None:
        self._roots: dict[str, _Node] = {}
        for route in routes:
            assert ":" not in route.path, "no path converts what it takes: the call's type does"
            for method in route.methods or ():
                self._add(self._roots.setdefault(method, _Node()), route)

    def find(self, method: str, path: str) -> Found | None:
        """Find the route; None where the framework has to say what is wrong."""
        root = self._roots.get(method)
        if root is None:
            return None
        values: list[str] = []
        route = _walk(root, path.split("/"), 0, values)
        if route is None:
            return None
        return route, dict(zip(route.param_convertors, values, strict=True))

    def _add(self, node: _Node, route: CallRoute) -> None:
        for segment in route.path.split("/"):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.words.setdefault(segment, _Node())
        # As with the framework, the first of two equal routes is the one.
        node.route = node.route or route

    def shortcut(self, scope: Scope) -> ASGIApp | None:
        """Find what serves a call by itself; None where the framework has to say what is wrong."""
        # The server leaves out the body of what a HEAD asks for.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        found = self.find(method, scope["path"])
        if found is None:
            return None
        route, values = found
        scope["route"], scope["path_params"] = route, values
        return route.app


def addresses(routes: Sequence[CallRoute]) -> list[Route]:
    """Make what the framework may know of routes: the addresses that there are, and their methods.

    It says which of them comes near what somebody asked for, and serves none. Its patterns take
    more than the table does (a newline at the end of a path), and whoever has been admitted has
    been admitted to what the table found.
    """
    return [Route(each.path, _nothing_here, methods=list(each.methods or ())) for each in routes]


async def _nothing_here(_request: Request) -> Response:
    raise HTTPException(404)


def _walk(node: _Node, segments: list[str], depth: int, values: list[str]) -> CallRoute | None:
    if depth == len(segments):
        return node.route
    segment = segments[depth]
    word = node.words.get(segment)
    if word is not None:
        route = _walk(word, segments, depth + 1, values)
        if route is not None:
            return route
    if node.parameter is None or not segment:
        return None
    values.append(segment)
    route = _walk(node.parameter, segments, depth + 1, values)
    if route is None:
        values.pop()
    return route
