"""`python -m tallybook` is the program `tallybook`, for where no such program is on the path."""

import sys

from tallybook.entrypoints.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
