"""How long `tallybook --help` takes: `python -m bench.help_time [runs]`. It may take 0.2 s.

Wall time of a whole process, as a person waits for it, after one run that is not counted. The
slowest imports are listed below, each without what it imports in turn.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

LIMIT_SECONDS = 0.2
RUNS = 20
SLOWEST = 8
PROGRAM = str(Path(sys.executable).with_name("tallybook"))


def time_help(runs: int) -> list[float]:
    """Run it some times, and once before that to have everything in the cache."""
    seconds: list[float] = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        subprocess.run([PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return sorted(seconds[1:])


def slowest_imports() -> list[tuple[int, str]]:
    """List the imports that take longest by themselves. Units: microseconds."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", PROGRAM, "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", ended.stderr)
    return sorted(((int(own), name) for own, name in lines), reverse=True)[:SLOWEST]


def main() -> None:
    """Measure, print, and fail where it takes too long."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    seconds = time_help(runs)
    median = statistics.median(seconds)
    print(
        f"tallybook --help: median {median:.3f} s, fastest {seconds[0]:.3f} s,"
        f" slowest {seconds[-1]:.3f} s of {runs}; limit {LIMIT_SECONDS} s"
    )
    for own, name in slowest_imports():
        print(f"  {own / 1000:6.1f} ms  {name}")
    sys.exit(median > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
