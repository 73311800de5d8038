"""How long `tallybook serve` takes to be ready and to stop: `python -m bench.serve_time [runs]`.

From the start of the process to the first answer of /healthz, on a fresh SQLite book and then on
the same one again; and from SIGTERM to the end of the process. Ready may take 2 s.
"""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

LIMIT_SECONDS = 2.0
RUNS = 10
PROGRAM = str(Path(sys.executable).with_name("tallybook"))


def time_once(folder: str) -> tuple[float, float]:
    """Start a server in a folder, ask it once, stop it; gives both times. Units: seconds."""
    began = time.perf_counter()
    with subprocess.Popen(
        [PROGRAM, "serve", "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found, "the server did not start"
        urllib.request.urlopen(f"{found[0]}/healthz").read()
        ready = time.perf_counter() - began
        began = time.perf_counter()
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    return ready, time.perf_counter() - began


def main() -> None:
    """Measure, print, and fail where it takes too long."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    fresh: list[float] = []
    again: list[float] = []
    stopping: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="tallybook-bench-") as folder:
            for times in (fresh, again):
                ready, stopped = time_once(folder)
                times.append(ready)
                stopping.append(stopped)
    for what, times in (("fresh book", fresh), ("same book again", again)):
        print(f"ready, {what}: median {statistics.median(times):.2f} s, slowest {max(times):.2f} s")
    print(f"stopped: median {statistics.median(stopping):.2f} s; {runs} runs each")
    sys.exit(statistics.median(fresh) > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
