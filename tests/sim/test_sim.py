"""Simulated books: every seed comes to rest with auditor, invariants and `verify` agreeing."""

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.postgres import Databases
from tests.proof.bugs import BUGS
from tests.sim.book import Book, open_book
from tests.sim.play import play
from tests.sim.rare import OFTEN, missed

STEPS = 100
SQLITE_SEEDS = range(1, 71)
POSTGRES_SEEDS = range(1, 9)
SEEDS_WANTED = 300
"""How many are played on each database where there is time."""
PARTS = 4
SPARE_PARTS = 3
"""As many as `make test` has workers: each of them has something to go on with."""
ON_SQLITE, ON_POSTGRES = "books simulated on SQLite", "books simulated on PostgreSQL"


@pytest.fixture(scope="module")
def sqlite() -> Iterator[Book]:
    with open_book("sqlite") as book:
        yield book


@pytest.fixture(scope="module")
def postgresql(databases: Databases) -> Iterator[Book]:
    with open_book("postgresql", databases.server_url) as book:
        yield book


Done = Callable[[str, object], None]


@pytest.mark.parametrize("part", range(PARTS))
def test_simulated_books_come_to_rest_on_sqlite(
    sqlite: Book, part: int, record_property: Done
) -> None:
    reached: Counter[str] = Counter()
    seeds = SQLITE_SEEDS[part::PARTS]
    for seed in seeds:
        reached += play_well(sqlite, seed)
    assert missed(reached, OFTEN) == []
    record_property("done", (ON_SQLITE, len(seeds)))


def test_simulated_books_come_to_rest_on_postgresql(
    postgresql: Book, record_property: Done
) -> None:
    for seed in POSTGRES_SEEDS:
        play_well(postgresql, seed)
    record_property("done", (ON_POSTGRES, len(POSTGRES_SEEDS)))


@pytest.mark.spare
@pytest.mark.parametrize("part", range(SPARE_PARTS))
def test_more_books_come_to_rest_while_there_is_time(
    sqlite: Book,
    postgresql: Book,
    part: int,
    is_time_left: Callable[[], bool],
    record_property: Done,
) -> None:
    played: Counter[str] = Counter()
    here = range(SQLITE_SEEDS.stop + part, SEEDS_WANTED + 1, SPARE_PARTS)
    there = range(POSTGRES_SEEDS.stop + part, SEEDS_WANTED + 1, SPARE_PARTS)
    for seeds in zip_longest(here, there):
        for book, seed, name in zip(
            (sqlite, postgresql), seeds, (ON_SQLITE, ON_POSTGRES), strict=True
        ):
            if seed is not None and is_time_left():
                play_well(book, seed)
                played[name] += 1
    for done in played.items():
        record_property("done", done)


def play_well(book: Book, seed: int) -> Counter[str]:
    told = play(book, seed, STEPS)
    assert told.wrong == [], told.again
    return told.reached


def test_the_same_seed_tells_the_same_story_on_both_databases(
    sqlite: Book, postgresql: Book
) -> None:
    """Every event, entry and id, over all steps, is in the hash."""
    for seed in (1001, 1002):
        first = play(sqlite, seed, 60)
        again = play(sqlite, seed, 60)
        elsewhere = play(postgresql, seed, 60)
        assert first.wrong == []
        assert first.log_hash == again.log_hash == elsewhere.log_hash
    assert first.log_hash != play(sqlite, 1003, 60).log_hash


def test_the_auditor_shares_no_code_with_the_service() -> None:
    folder = Path(__file__).parent / "auditor"
    imported = {
        name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    strangers = {
        name for name in imported
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("tests.sim.auditor.")
    }  # fmt: skip
    assert strangers == set()


def test_a_seed_that_fails_says_how_to_play_it_again(sqlite: Book) -> None:
    (bug,) = [bug for bug in BUGS if bug.name == "tax is cut off"]
    with bug.planted():
        told = next(told for seed in SQLITE_SEEDS if (told := play(sqlite, seed, STEPS)).wrong)
    assert told.again == f"make sim ARGS='--seed {told.seed} --steps {STEPS} --database sqlite'"
    assert play(sqlite, told.seed, STEPS).wrong == []


def test_a_run_that_never_met_a_rare_state_says_so() -> None:
    assert "contradiction" in missed(Counter({"id collision": 3}))
    assert "id collision" not in missed(Counter({"id collision": 3}))
