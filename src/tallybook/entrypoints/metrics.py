"""Metrics for Prometheus: what came in, how it ended, and how the writer keeps up."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from starlette.responses import Response

from tallybook.writer.door import BATCH_MAX, Door

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, BATCH_MAX, 500)

disable_created_metrics()  # they double every counter's lines and tell when the process began


class Metrics:
    """One application's metrics; a second application in the same process has its own."""

    def __init__(self, door: Door) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tallybook_http_requests",
            "Requests by route, method and class of status.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tallybook_http_request_seconds",
            "How long requests took.",
            ["route", "method"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "tallybook_writer_batch_commands",
            "How many commands were committed together.",
            buckets=_SIZES,
            registry=self._registry,
        )
        waiting = Gauge(
            "tallybook_writer_waiting_commands",
            "How many commands wait to be written.",
            registry=self._registry,
        )
        waiting.set_function(lambda: door.waiting)
        door.on_batch = self._batches.observe
        # A label look-up takes a lock and joins texts; there are few enough to keep them.
        self._counts: dict[tuple[str, str, int], Counter] = {}
        self._times: dict[tuple[str, str], Histogram] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request. `status` 0 means that no answer was begun."""
        counted = route, method, status // 100
        count = self._counts.get(counted)
        if count is None:
            count = self._counts[counted] = self._requests.labels(
                route, method, f"{status // 100}xx" if status else "none"
            )
        count.inc()
        time = self._times.get((route, method))
        if time is None:
            time = self._times[route, method] = self._seconds.labels(route, method)
        time.observe(seconds)

    def expose(self) -> Response:
        """Answer with all metrics as Prometheus reads them."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
