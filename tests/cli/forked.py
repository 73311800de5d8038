"""Programs that start at once: forked from a process that has loaded all of `tallybook` before.

To start Python and to load the service takes more than a second of work each time, and the tests
start programs all the time. A forked one is a process of its own like any other: it has its
own folder, environment and output, and is killed for real.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

_forking = get_context("forkserver")
_forking.set_forkserver_preload(["tests.cli.loaded"])


class Forked:
    """A running program, in the manner of `subprocess.Popen`: texts, with both outputs piped."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        self._process = _forking.Process(
            target=_become,
            args=(list(arguments), str(cwd), dict(env), _End(their_out), _End(their_err)),
        )
        try:
            self._process.start()
        finally:
            os.close(their_out)
            os.close(their_err)
        self.stdout = os.fdopen(out, encoding="utf-8")
        self.stderr = os.fdopen(err, encoding="utf-8")
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Tell the exit code, as far as there is one."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it is over."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; gives the exit code. Raises: `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("tallybook", timeout)
        return code

    def close(self) -> None:
        """Kill it where it still runs, and let go of what it said."""
        self.kill()
        self._process.join()
        self.stdout.close()
        self.stderr.close()
        self._process.close()


class _End:
    """The end of a pipe that goes along to the process that is made."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[object, ...]:
        return _detach, (DupFd(self._number),)


def _detach(sent: Any) -> int:
    return sent.detach()


def _become(arguments: list[str], cwd: str, env: dict[str, str], out: int, err: int) -> None:
    """Be `tallybook` in the process that has just been forked."""
    from tests.cli.loaded import main  # noqa: PLC0415 - loaded before the fork, not by a test

    for end, number in ((out, 1), (err, 2)):
        os.dup2(end, number)
        os.close(end)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["tallybook", *arguments]
    main()
