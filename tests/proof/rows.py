"""The rows of the proof, in the order of its table."""

from __future__ import annotations

from importlib import import_module

from tests.proof.check import Check

# Each module has `CHECKS`, a list of what it adds. A file that proves something new joins here.
MODULES: tuple[str, ...] = (
    "tests.proof.simulator",
    "tests.proof.planted",
    "tests.proof.counter",
    "tests.proof.crashes",
    "tests.proof.races",
    "tests.proof.kills",
    "tests.proof.fuzzing",
    "tests.proof.corruptions",
    "tests.proof.canaries",
)


def all_checks() -> list[Check]:
    """Load every row."""
    checks = [check for name in MODULES for check in import_module(name).CHECKS]
    names = [check.name for check in checks]
    assert len(set(names)) == len(names), "a row is known by its name"
    return checks
