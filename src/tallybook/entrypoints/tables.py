"""Tables of plain text: columns in line, readable on a terminal and in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def format_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> list[str]:
    """Write rows under their headers; columns named in `right` are set flush right.

    >>> for line in format_table(("name", "sum"), [("a", 5), ("long", 12)], right=("sum",)):
    ...     print(line)
    name  sum
    a       5
    long   12
    """
    cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(headers))]
    return [
        "  ".join(
            cell.rjust(width) if header in right else cell.ljust(width)
            for cell, width, header in zip(row, widths, headers, strict=True)
        ).rstrip()
        for row in cells
    ]
