"""The demo, as a newcomer runs it, but with few advances."""

import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.programs import PROGRAM, environment, run
from tests.serving import wait_until

ROWS = "6"


@pytest.mark.slow
def test_the_same_seed_plays_the_same_demo_wherever_it_is(tmp_path: Path) -> None:
    first = run("demo", "--rows", ROWS, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "Book and bank agree to the last minor unit." in first.stdout
    assert "checks of verify agree." in first.stdout
    assert re.search(r"still owed +0\.00", first.stdout)
    assert "The demo took" in first.stderr

    (elsewhere := tmp_path / "elsewhere").mkdir()
    odd = environment(
        DATABASE_URL="sqlite:///./mine.db",
        TALLYBOOK_CURRENCY="USD",
        TALLYBOOK_MAX_ATTEMPTS="1",
        TALLYBOOK_HOUSE_ACCOUNT="MINE",
    )
    second = run("demo", "--rows", ROWS, cwd=elsewhere, env=odd)
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout
    assert list(elsewhere.iterdir()) == [], "it leaves nothing behind"


def test_another_seed_plays_another_demo_and_a_home_is_kept(tmp_path: Path) -> None:
    seventh = run("demo", "--rows", "3", "--seed", "7", "--home", "kept", cwd=tmp_path)
    assert seventh.returncode == 0, seventh.stderr
    assert "(seed 7)" in seventh.stdout
    with closing(sqlite3.connect(tmp_path / "kept" / "book.db")) as book:
        (advances,) = book.execute("SELECT count(*) FROM advances").fetchone()
    assert advances >= 3
    verified = run("verify", "--database", "kept/book.db", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout
    again = run("demo", "--home", "kept", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "not empty" in again.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_ended_takes_its_processor_along(tmp_path: Path, number: int) -> None:
    demo = subprocess.Popen(
        [*PROGRAM, "demo", "--home", "kept"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert demo.stdout is not None
    with demo.stdout as said:
        assert "advances of" in said.readline()
        (processor,) = children(demo.pid)
        demo.send_signal(number)
        code = demo.wait(60)
    assert code == (-number if number == signal.SIGKILL else 130)
    wait_until(lambda: not is_alive(processor), 20)
    assert not is_alive(processor)


def children(pid: int) -> list[int]:
    """List the processes that a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
