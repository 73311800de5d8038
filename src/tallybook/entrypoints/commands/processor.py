"""`tallybook processor`: the simulated Processor as a server of its own."""

from __future__ import annotations

from tallybook.ambient.clock import SystemClock
from tallybook.ambient.logs import log_to
from tallybook.ambient.settings import load_settings
from tallybook.entrypoints.rail import open_simulator
from tallybook.processor.faults import KNOBS
from tallybook.processor.server import run

HOST = "127.0.0.1"


def serve_processor(port: int, **given: object) -> None:
    """Serve the simulator until told to stop."""
    if given.get("simulator_faults") == "help":
        for name, meaning in KNOBS.items():
            print(f"{name:18} {meaning}")
        return
    settings = load_settings(**given)
    log_to(level=settings.log_level, style=settings.log_format)
    log = settings.processor_log
    simulator = open_simulator(settings, SystemClock(settings.timezone), log)
    try:
        print(f"what really happens is kept in {log}", flush=True)
        run(HOST, port, simulator)
    finally:
        simulator.log.close()
