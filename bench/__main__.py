"""`python -m bench` lists the benchmarks, `python -m bench NAME ...` runs one."""

import ast
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path


def list_benchmarks() -> Iterator[tuple[str, str]]:
    """Give each module that runs, with the first line of its docstring."""
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        source = path.read_text(encoding="utf-8")
        if "__main__" in source:
            yield path.stem, (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def main() -> None:
    """Run the benchmark that is named, or list them all."""
    known = dict(list_benchmarks())
    if not sys.argv[1:] or sys.argv[1] not in known:
        for name, what in known.items():
            print(f"{name:15}{what}")
        print(
            "\nRun one: python -m bench NAME ..., with the options that the head of its file lists."
        )
        sys.exit(2 if sys.argv[1:] else 0)
    del sys.argv[0]
    runpy.run_module(f"bench.{sys.argv[0]}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
