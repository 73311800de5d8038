"""Where the labelled messages are, which are not ours to ship."""

import os
from pathlib import Path


def real_messages() -> Path | None:
    """Find the labelled messages: by TALLYBOOK_TEST_DATA, or in a data folder beside ours."""
    folders = [Path(__file__).resolve().parents[3] / ".." / "shared" / "data"]
    if "TALLYBOOK_TEST_DATA" in os.environ:
        folders.insert(0, Path(os.environ["TALLYBOOK_TEST_DATA"]))
    paths = [folder / "messages" / "messages.jsonl" for folder in folders]
    return next((path for path in paths if path.exists()), None)
