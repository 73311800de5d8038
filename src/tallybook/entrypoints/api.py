"""The API server's application: all routes under one prefix, wrapped once. Wiring only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as StarletteScope

from tallybook.access.model import Scope
from tallybook.access.rules import covers
from tallybook.access.tasks import KeyRing
from tallybook.advances import http as advances
from tallybook.bills import http as bills
from tallybook.collection import http as collection
from tallybook.collection.queries import sum_in_flight
from tallybook.customers import http as customers
from tallybook.db import migrate
from tallybook.entrypoints.docs_page import add_docs_page
from tallybook.entrypoints.metrics import Metrics
from tallybook.entrypoints.permissions import scope_of
from tallybook.ledger import http as ledger
from tallybook.loans import http as loans
from tallybook.reports import http as reports
from tallybook.retail import http as retail
from tallybook.wire.context import Context
from tallybook.wire.envelope import Admit, Envelope
from tallybook.wire.guard import Guard
from tallybook.wire.openapi import openapi_document
from tallybook.wire.problems import add_problem_handlers
from tallybook.wire.routes import CallRoute, Router
from tallybook.wire.table import RouteTable, addresses

_log = logging.getLogger("tallybook.http")

_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""What is asked every few seconds by machines and tells nothing in a log."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def make_routers() -> list[Router]:
    """List every domain's routes."""
    return [
        customers.make_router(in_flight=sum_in_flight),
        advances.ROUTER,
        *collection.make_routers(),
        reports.ROUTER,
        ledger.ROUTER,
        bills.make_router(),
        *retail.make_routers(),
        *loans.make_routers(),
    ]


@cache
def make_routes(prefix: str) -> tuple[CallRoute, ...]:
    """Put every call under the prefix, as one flat list.

    Made once a process: routes know no engine.
    """
    routes: list[CallRoute] = []
    for router in make_routers():
        for route in router.routes(prefix):
            route.needs = scope_of(route.methods or (), route.path.removeprefix(prefix)).value
            routes.append(route)
    return tuple(routes)


def make_app(
    engine: Context, *, lifespan: Lifespan | None = None, is_guarded: bool = True
) -> FastAPI:
    """Make the application that serves one engine. Who opened the engine closes it.

    Whoever calls it in their own process, with the book in their hands, needs no guard.
    """
    settings = engine.settings
    app = _Application(
        title=settings.project_name,
        version=settings.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.engine = engine
    routes = make_routes(settings.api_v1_prefix)
    table = RouteTable(routes)
    # Who asks for what no route takes is told by the framework which of them comes near.
    app.router.routes.extend(addresses(routes))
    document: dict[str, Any] = {}

    def describe() -> dict[str, Any]:
        if not document:
            document.update(openapi_document(routes, app.title, app.version))
        return document

    app.openapi = describe
    metrics = Metrics(engine.door)
    _add_health(app, engine, metrics)
    if settings.docs_page:
        add_docs_page(app, app.title)
    add_problem_handlers(app)
    app.envelope = partial(
        Envelope,
        clock=engine.clock,
        ids=engine.ids,
        observe=metrics.observe,
        shortcut=table.shortcut,
        admit=_make_admission(engine) if is_guarded else None,
        quiet=_QUIET,
    )
    return app


class _Application(FastAPI):
    """FastAPI's application with our envelope around it, in the place of its own middleware.

    That looks at each request for what we never ask of it (traces, a last resort, a body limit),
    and stood before the envelope, in the way of calls that need nothing of FastAPI.
    """

    envelope: Callable[[ASGIApp], Envelope]

    async def __call__(self, scope: StarletteScope, receive: Receive, send: Send) -> None:
        """Serve, as Starlette does: FastAPI would see for each request whether it is traced."""
        await Starlette.__call__(self, scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the layers together, the outermost last."""
        inner = AsyncExitStackMiddleware(self.router)
        return self.envelope(ExceptionMiddleware(inner, self.exception_handlers))


def _make_admission(engine: Context) -> Admit:
    guard = Guard(KeyRing(engine), _covers, engine.clock, rate=engine.settings.rate_limit)

    async def admit(scope: StarletteScope) -> ASGIApp | None:
        route: CallRoute | None = scope.get("route")
        refused = await guard.admit(scope, route.needs if route is not None else None)
        if refused is not None and route is not None:
            scope["tallybook.route"] = route.path
        return refused

    return admit


def _covers(held: Scope, needed: str) -> bool:
    return covers(held, Scope(needed))


def _add_health(app: FastAPI, engine: Context, metrics: Metrics) -> None:
    async def healthz() -> Response:
        """Say that the process lives."""
        return JSONResponse({"status": "ok"})

    def readyz() -> Response:
        """Say whether calls can be served: the database answers, is migrated, and is written."""
        checks = {
            "database": _database_trouble(engine),
            "writer": engine.door.trouble if engine.door.is_open else "the writer is not running",
        }
        ready = not any(checks.values())
        return JSONResponse(
            {"ready": ready, "checks": {name: why or "ok" for name, why in checks.items()}},
            200 if ready else 503,
        )

    async def exposed() -> Response:
        """Give the metrics."""
        return metrics.expose()

    for path, endpoint in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", exposed)):
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


def _database_trouble(engine: Context) -> str | None:
    try:
        with engine.database.reader() as connection:
            connection.execute(text("SELECT 1"))
        revision = migrate.current_revision(engine.database)
    except Exception:  # noqa: BLE001 - whatever it is, the answer is that it is not ready
        _log.exception("the database does not answer")
        return "the database does not answer"
    if revision != migrate.HEAD:
        return f"the database is at version {revision}, not {migrate.HEAD}"
    return None
