"""Where the files of tests lie."""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 1024**3
"""How much must be free there before files of tests are kept in memory."""


def keep_files_in_memory() -> None:
    """Let temporary files lie in memory where there is room: no test cuts the power."""
    is_there = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK)
    if is_there and "TMPDIR" not in os.environ and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)  # for every process that is started from here, too
        tempfile.tempdir = None
