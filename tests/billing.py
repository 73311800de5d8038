"""A served book with its rail: real HTTP in front, a simulated or misbehaving Processor behind."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.entrypoints.api import make_app
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.port import Processor
from tallybook.processor.simulator import SimulatedProcessor
from tallybook.processor.simulator_log import LoggedCall
from tests.serving import Answer, Client, run_server

API = "/api/v1"
NUMBER = "DE89 3704 0044 0532 0130 00"
FIRST_DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Billing(Client):
    """A client of a served engine, its clock, and what really happened at the Processor."""

    engine: Engine
    clock: ManualClock
    simulator: SimulatedProcessor

    def __init__(
        self, url: str, engine: Engine, clock: ManualClock, simulator: SimulatedProcessor
    ) -> None:
        super().__init__(url)
        self.engine, self.clock, self.simulator = engine, clock, simulator

    def call(self, path: str, body: Any = None, **more: Any) -> Answer:
        """POST to a path below the API's prefix."""
        return self.post(f"{API}{path}", body, **more)

    def read(self, path: str) -> Any:
        """GET what must be there."""
        answer = self.get(f"{API}{path}")
        assert answer.status == 200, answer
        return answer.json()

    def customer(self, number: str = NUMBER, name: str = "asha", **fields: Any) -> str:
        """Create a customer with one account."""
        body = {"name": name, "email": f"{name}@example.org", "bank_accounts": [number], **fields}
        made = self.call("/customers", body)
        assert made.status == 201, made
        return made.json()["id"]

    def advance(self, amount: object = "120.00", number: str = NUMBER, **fields: Any) -> Any:
        """Pay an advance out that succeeds."""
        made = self.call("/advances", {"dst_bank_account": number, "amount": amount, **fields})
        assert made.status == 201, made
        return made.json()

    def arrivals(self) -> list[LoggedCall]:
        """List what arrived at the Processor."""
        return list(self.simulator.arrivals())

    def next_day(self, days: int = 1) -> None:
        """Turn the clock on."""
        self.clock.advance(days=days)

    def run(self, **body: Any) -> Answer:
        """Run the business date."""
        return self.call("/runs", body)

    def run_days(self, days: int) -> None:
        """Let days pass, each with its run."""
        for _ in range(days):
            self.next_day()
            assert self.run().status == 201

    def report(self, text: str | bytes, **more: Any) -> Answer:
        """Hand a report file in."""
        content = text.encode() if isinstance(text, str) else text
        path = more.pop("path", "/processor-reports")
        headers = {"Content-Type": "text/csv", **more.pop("headers", {})}
        return self.post(f"{API}{path}", content=content, headers=headers, **more)

    def items(self, query: str = "?status=open") -> Any:
        """List operator items."""
        return self.read(f"/operator-items{query}")["data"]

    def activate(self) -> Any:
        """Pay an advance out and have the next day's run see that it succeeded."""
        made = self.advance()
        self.run_days(1)
        return self.read(f"/advances/{made['id']}")


def lines(*rows: str) -> str:
    """Write a complete report of `id,result` rows."""
    return "\n".join(["transaction_id,result", *rows, f"#end,{len(rows)}", ""])


@contextmanager
def serve_billing(
    url: str,
    home: Path,
    *,
    faults: str = "",
    processor: Processor | None = None,
    **settings: Any,
) -> Generator[Billing]:
    """Serve a migrated book with a rail; a Processor of the test's own takes the calls if given."""
    clock = ManualClock(FIRST_DAY)
    simulator = SimulatedProcessor(
        home / "truth.db", seed=7, clock=clock, faults=Faults.parse(faults)
    )
    given = Settings(database_url=url, home=home, _env_file=None, **settings)  # pyright: ignore[reportCallIssue] - pydantic-settings reads them
    engine = Engine.open(given, clock=clock, processor=processor or simulator)
    try:
        with run_server(make_app(engine)) as address:
            yield Billing(address, engine, clock, simulator)
    finally:
        engine.close()
        simulator.log.close()
