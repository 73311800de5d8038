"""Which process this is, and whether another one is still alive."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


@cache
def this_process() -> str:
    """Name this process so that its death can be told on this machine: host/pid/start."""
    return _identity(os.getpid())


def is_known_dead(identity: str) -> bool:
    """Tell whether a process is dead for certain; False where nobody can tell from here.

    A process of another machine or container may be alive: only its lease tells.
    """
    host, _, rest = identity.partition("/")
    pid, _, _ = rest.partition("/")
    if host != _host() or not pid.isdigit():
        return False
    return _identity(int(pid)) != identity


@cache
def _host() -> str:
    """Name where a number means one process: containers may share a host's name and its boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}+{boot[:8]}+{namespace}"


def _identity(pid: int) -> str:
    return f"{_host()}/{pid}/{_started(pid)}"


def _started(pid: int) -> str:
    """Tell when a process started, in clock ticks since boot: pids are used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _started_elsewhere(pid)
    after_name = stat.rpartition(")")[2].split()
    state, start_index = after_name[0], 19
    return "dead" if state in "ZX" else after_name[start_index]


def _started_elsewhere(pid: int) -> str:
    """Without /proc only whether it lives can be told."""
    if Path("/proc/self").exists():
        return "dead"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "dead"
    except PermissionError:
        pass
    return "alive"
