"""The OpenAPI document as a file, for those who read it without running a server.

`python -m tallybook.entrypoints.openapi docs/api/openapi.json` writes it anew; a test fails where
the file and the program differ.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

from tallybook.entrypoints.api import make_routes
from tallybook.wire.openapi import openapi_document


def document_text() -> str:
    """Write the document of a default installation."""
    document = openapi_document(make_routes("/api/v1"), "Tallybook", version("tallybook"))
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document_text(), encoding="utf-8")
