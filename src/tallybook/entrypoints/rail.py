"""The rail that is set: a Processor over HTTP, or the simulator that stands in for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.ambient.clock import Clock
from tallybook.ambient.settings import Settings
from tallybook.ambient.surroundings import SettingsError
from tallybook.processor.port import Processor

if TYPE_CHECKING:
    from tallybook.processor.simulator import SimulatedProcessor


def open_processor(settings: Settings, clock: Clock) -> Processor:
    """Reach the Processor that is set, or stand a simulator in for it.

    Raises: SettingsError.
    """
    if settings.processor_url is not None:
        from tallybook.processor.client import ClientSettings, HttpProcessor

        token = settings.processor_token
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else None
        return HttpProcessor(
            settings.processor_url,
            timeout_seconds=settings.processor_timeout_seconds,
            settings=ClientSettings(headers=headers),
        )
    return open_simulator(settings, clock, settings.simulator_log)


def open_simulator(settings: Settings, clock: Clock, log: Path) -> SimulatedProcessor:
    """Make the simulated Processor; its log is in the data directory. Raises: SettingsError.

    Who serves another book than the one beside it has a log apart: transfers of two books in one
    log are orphans to both.
    """
    from tallybook.processor.faults import Faults
    from tallybook.processor.simulator import SimulatedProcessor

    try:
        faults = Faults.parse(settings.simulator_faults)
    except ValueError as error:
        raise SettingsError([f"TALLYBOOK_SIMULATOR_FAULTS: {error}."]) from None
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SimulatedProcessor(
        log,
        seed=settings.simulator_seed,
        clock=clock,
        faults=faults,
        currency=settings.currency,
    )
