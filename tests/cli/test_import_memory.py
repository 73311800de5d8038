"""Fifty thousand lines, or a million: an import streams them, and remembers none."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.programs import PROGRAM, environment
from tests.importing import account

LINES, ALL_LINES = 50_000, 1_000_000
GROWTH_KILOBYTES = 6_000
"""Less than 62 bytes a line of the smaller file, so that not even a key of each is remembered."""


def write(path: Path, count: int) -> None:
    """Write lines of which one in four names an account that nobody has; the rest are worse."""
    with path.open("w") as file:
        file.write("bank_account,amount,effective_on\n")
        for number in range(count):
            day = "2020-05-04" if number % 4 == 0 else "4 May 2020"
            file.write(f"{account(number)},{100 + number % 1000}.00,{day}\n")


def peak_kilobytes(path: Path) -> tuple[int, str]:
    """Import a file in a process of its own; gives its peak memory and what it said."""
    command = ["import", "advances", path.name, "--refused", "refused.csv"]
    process = subprocess.Popen(
        [*PROGRAM, *command, "--database", f"{path.stem}.db"],
        cwd=path.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        text = said.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 1, text
    return used.ru_maxrss, text


@pytest.mark.slow
def test_many_lines_need_no_more_memory_than_a_few(tmp_path: Path, *, everything: bool) -> None:
    lines = ALL_LINES if everything else LINES
    write(few := tmp_path / "few.csv", 2_000)
    write(many := tmp_path / "many.csv", lines)
    peak_of_few, _ = peak_kilobytes(few)
    peak_of_many, said = peak_kilobytes(many)
    assert f"refused  {lines:,}" in said
    with (tmp_path / "refused.csv").open() as refused:
        assert sum(1 for _ in refused) == lines + 1
    assert peak_of_many < peak_of_few + GROWTH_KILOBYTES, "units: KiB on Linux"
