"""Playing one seed."""

from __future__ import annotations

from tests.sim.book import Book
from tests.sim.story import Story, Told
from tests.sim.world import one_machine


def play(book: Book, seed: int, steps: int) -> Told:
    """Play one seed on a book, from empty to rest."""
    with one_machine() as now_is:
        return Story(seed, book, now_is).play(steps)
