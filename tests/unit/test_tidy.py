"""Rules of the house that no linter knows. Each says what to do instead."""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "tallybook"
HAND_WRITTEN = [ROOT / "src", ROOT / "tests", ROOT / "bench"]

SRC_FILE_LINES = 400
TEST_FILE_LINES = 800
FUNCTION_LINES = 60

# What may be longer, and why. An entry that is no longer needed fails, so the list only shrinks.
LONG_FILES: dict[str, str] = {
    "tests/db/test_advance_paths.py": "one worked example after another, each read by itself",
}
LONG_FUNCTIONS: dict[str, str] = {}

JUNK_DRAWERS = {
    "base", "common", "core", "data", "handle", "handler", "handlers", "helper", "helpers", "info",
    "lib", "manager", "managers", "misc", "process", "processing", "shared", "stuff", "tools",
    "util", "utilities", "utils",
}  # fmt: skip

# Where money is decided, a float has no place: it cannot hold ten cents.
EXACT = [
    "kernel/**/*.py",
    "ledger/**/*.py",
    *(f"{domain}/{file}.py" for domain in ("collection", "advances", "loans", "retail", "bills")
      for file in ("rules", "model")),
    *(f"{domain}/rules/*.py" for domain in ("bills", "loans", "retail")),
]  # fmt: skip

LATER = re.compile(r"\b(TODO|FIXME|HACK|NotImplementedError|NotImplemented)\b")
NOT_LATER = {"return NotImplemented"}  # how Python's comparisons say "ask the other side"
WAIVER = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pyright:|pragma:|fmt:|ruff:)(?P<rest>[^#]*)", re.IGNORECASE
)
WAIVER_WITH_REASON = re.compile(
    r"#\s*(?:noqa:\s*[A-Z0-9, ]+?|pyright:\s*ignore\[[\w, ]+\]|pragma:\s*[\w ]+?)\s+-\s+\S.+"
    r"|#\s*fmt:\s*(?:skip|on|off)\s*$"
)


def python_files(*folders: Path) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*.py")
        if "__pycache__" not in path.parts and path.parent.name != "versions"
    )


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def long_functions(tree: ast.AST, *, longest: int, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Find functions with more lines than they may have; the docstring does not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            code = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (node.end_lineno or 0) - code[0].lineno + 1 if code else 0
            if lines > longest:
                yield f"{prefix}{node.name}", lines
        named = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        inner = f"{prefix}{node.name}." if named else prefix
        yield from long_functions(node, longest=longest, prefix=inner)


def floats(tree: ast.AST) -> Iterator[int]:
    """Find the lines that make a float: a literal, or a call."""
    for node in ast.walk(tree):
        is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
        is_call = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "float"
        )
        if is_literal or is_call:
            assert isinstance(node, ast.expr)
            yield node.lineno


def bare_waivers(source: str) -> Iterator[str]:
    """Find comments that switch a rule off and do not say why."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            for waiver in WAIVER.finditer(token.string):
                if not WAIVER_WITH_REASON.match(token.string, waiver.start()):
                    yield f"line {token.start[0]}: {token.string}"


# --- the rules hold -------------------------------------------------------------------------------


def test_files_are_short() -> None:
    """A file that outgrows its reader is split along a noun, or says in the list why it is long."""
    long = {
        name_of(path): count
        for path in python_files(*HAND_WRITTEN)
        for count in [len(path.read_text().splitlines())]
        if count > (SRC_FILE_LINES if path.is_relative_to(SRC) else TEST_FILE_LINES)
    }
    assert {name: long[name] for name in long.keys() - LONG_FILES.keys()} == {}
    assert LONG_FILES.keys() - long.keys() == set(), "short by now: take it off the list"


def test_functions_are_short() -> None:
    """A long function is two that have not met, or it says in the list why it is long."""
    long = {
        f"{name_of(path)}:{name}": lines
        for path in python_files(SRC)
        for name, lines in long_functions(ast.parse(path.read_text()), longest=FUNCTION_LINES)
    }
    assert {name: long[name] for name in long.keys() - LONG_FUNCTIONS.keys()} == {}
    assert LONG_FUNCTIONS.keys() - long.keys() == set(), "short by now: take it off the list"


def test_there_are_no_junk_drawers() -> None:
    """A file is named for what it holds: a name that fits everything soon holds everything."""
    names = [
        path for path in [*SRC.rglob("*"), *SRC.rglob("*.py")] if "__pycache__" not in path.parts
    ]
    assert [name_of(path) for path in names if path.stem.lower() in JUNK_DRAWERS] == []


def test_nothing_is_left_for_later() -> None:
    """What is not done is not in the code: finish it, or leave it out."""
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in python_files(SRC)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if LATER.search(line) and line.strip() not in NOT_LATER
    ]
    assert found == []


def codes_cited(path: Path) -> list[str]:
    """List the rules that a file cites, such as `A8`; a letter alone is a whole business."""
    cited = re.findall(r"\bSource: ([^.\"]*)", path.read_text())
    return [code for each in cited for code in re.findall(r"\b[ABCGILPRT]\d{0,2}\b", each)]


def test_every_rule_that_is_cited_can_be_read() -> None:
    """Write `Source: X12` only of a rule in docs/rules.md, or an invariant in reliability.md."""
    page = (ROOT / "docs" / "rules.md").read_text()
    known = set(re.findall(r"^(?:- \*\*|## )([A-Z]\d*)(?:\*\*|:)", page, re.MULTILINE))
    known |= invariants_promised()
    found = [
        f"{name_of(path)}: {code}"
        for path in python_files(SRC, ROOT / "tests")
        for code in codes_cited(path)
        if code not in known
    ]
    assert found == []


def invariants_promised() -> set[str]:
    page = (ROOT / "docs" / "reliability.md").read_text()
    rows = re.findall(r"^\| ((?:\w+, )*\w+) \|", page, re.MULTILINE)
    return {code for row in rows for code in re.findall(r"\bI\d+\b", row)}


def test_every_invariant_is_promised_and_tested() -> None:
    """A number in docs/reliability.md stands in the tests that hold it, and the other way round."""
    named = {
        code
        for path in python_files(ROOT / "tests")
        for code in re.findall(r"\bI\d{1,2}\b", path.read_text())
    }
    assert named == invariants_promised()


# Who calls these is not in src: a user's program, or a bench that waits for what is under way.
CALLED_FROM_OUTSIDE = {
    "src/tallybook/entrypoints/library.py": "the calls of `tallybook.open(...)`",
    "src/tallybook/entrypoints/loan_calls.py": "the calls of `tallybook.open(...).loans`",
    "src/tallybook/ledger/operations.py": "posts entries of a user's own books",
    "src/tallybook/processor/simulator.py": "what came in, for who tests against it",
    "src/tallybook/bills/operations/inbox.py": "waits for processes that a bench must not count",
}


def names_defined(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """List what a module's own code could call by name.

    Not what is decorated, nor methods of a class with bases: a framework may call those.
    """
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.lineno, node.name
            members = node.body if not node.bases else []
        else:
            members = [node]
        for member in members:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                known = {"property", "staticmethod", "classmethod"}
                if all(getattr(each, "id", "") in known for each in member.decorator_list):
                    yield member.lineno, member.name
            elif member is node and isinstance(member, ast.Assign):
                yield from ((node.lineno, name.id) for name in member.targets
                            if isinstance(name, ast.Name))  # fmt: skip


def test_nothing_is_there_that_nobody_uses() -> None:
    used = Counter(
        word for path in SRC.rglob("*.py") for word in re.findall(r"\w+", path.read_text())
    )
    unused = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in python_files(SRC)
        if str(path.relative_to(ROOT)) not in CALLED_FROM_OUTSIDE
        for line, name in names_defined(ast.parse(path.read_text()))
        if used[name] == 1 and not name.startswith("__")
    ]
    assert unused == [], "delete it, or move it to the test that uses it"


def test_a_package_that_names_one_of_its_files_names_all() -> None:
    unnamed: list[str] = []
    for path in SRC.rglob("__init__.py"):
        named = set(re.findall(r"\b\w+\.py\b", path.read_text()))
        there = {file.name for file in path.parent.glob("*.py")} - {"__init__.py"}
        if named & there:
            unnamed += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(there - named)]
    assert unnamed == [], "a reader takes the docstring for the whole map"


def test_money_is_never_a_float() -> None:
    """Integers in minor units, or Decimal from text; see tallybook.kernel.money."""
    paths = sorted({path for pattern in EXACT for path in SRC.glob(pattern)})
    found = [
        f"{name_of(path)}:{line}" for path in paths for line in floats(ast.parse(path.read_text()))
    ]
    assert found == []


def test_every_waiver_says_why() -> None:
    """Write `# noqa: RULE - why` or `# pyright: ignore[rule] - why`, on the line itself."""
    found = [
        f"{name_of(path)}: {waiver}"
        for path in python_files(*HAND_WRITTEN)
        for waiver in bare_waivers(path.read_text())
    ]
    assert found == []


# --- and would be missed --------------------------------------------------------------------------


def test_a_long_function_is_seen() -> None:
    body = "\n".join(f"        x{number} = {number}" for number in range(5))
    source = f'class A:\n    def f(self):\n        """Say.\n\n        More.\n        """\n{body}\n'
    assert list(long_functions(ast.parse(source), longest=4)) == [("A.f", 5)]
    assert list(long_functions(ast.parse(source), longest=5)) == []


@pytest.mark.parametrize("source", ["x = 0.1", "x = 1e3", "x = 2j", "x = float('1')"])
def test_a_float_is_seen(source: str) -> None:
    assert list(floats(ast.parse(source))) == [1]


def test_a_float_that_is_only_asked_about_is_not_one() -> None:
    assert list(floats(ast.parse("isinstance(x, float)"))) == []


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: S608",
        "# noqa: S608, BLE001",
        "# type: ignore",
        "# pyright: ignore[reportCallIssue]",
        "# pyright: basic",
        "# noqa: S608 because",
        "# pragma: no cover",
    ],
)
def test_a_waiver_without_a_reason_is_seen(comment: str) -> None:
    assert list(bare_waivers(f"x = 1  {comment}\n")) == [f"line 1: {comment}"]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: S608 - the names are our own",
        "# noqa: S608, BLE001 - the names are our own",
        "# pyright: ignore[reportCallIssue] - the stub is wrong",
        "# pragma: no cover - only on Windows",
        "# fmt: skip",
    ],
)
def test_a_waiver_with_a_reason_passes(comment: str) -> None:
    assert list(bare_waivers(f"x = 1  {comment}\n")) == []
