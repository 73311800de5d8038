"""CSV files as spreadsheets, editors and accidents leave them."""

import io
from collections.abc import Iterator

import pytest

from tallybook.kernel.refusal import Refused
from tallybook.wire.csv_reader import LINE_BYTES_MAX, CsvColumns, CsvLine, CsvReader

COLUMNS = CsvColumns(("number", "amount"), optional=("note",), aliases={"account": "number"})


def read(content: bytes | str) -> list[CsvLine]:
    raw = content.encode() if isinstance(content, str) else content
    return list(CsvReader(io.BytesIO(raw), COLUMNS))


def problem_of(content: bytes | str) -> str:
    with pytest.raises(Refused) as caught:
        read(content)
    assert caught.value.refusal.code == "file_malformed"
    return str(caught.value.refusal.details["problem"])


def problems(content: bytes | str) -> dict[int, str]:
    return {
        line.number: str(line.refusal.details["problem"])
        for line in read(content)
        if line.refusal is not None
    }


@pytest.mark.parametrize(
    "content",
    [
        "number,amount\n1,2\n",
        "number,amount\r\n1,2\r\n",
        "number,amount\n1,2",
        "\ufeffnumber,amount\r\n1,2\r\n",
        '\ufeff"number","amount"\r\n"1","2"\r\n',
        "Number , AMOUNT\n 1 , 2 \n",
        "amount,number\n2,1\n",
        "account,amount\n1,2\n",
        "number,amount,note\n1,2,\n",
        "number,amount\n\n1,2\n\r\n,\n",
    ],
)
def test_what_means_the_same_is_read_the_same(content: str) -> None:
    (line,) = read(content)
    assert line.values == {"number": "1", "amount": "2"}


def test_a_line_keeps_the_number_an_editor_shows() -> None:
    assert [line.number for line in read("number,amount\n\n1,2\n\n3,4\n")] == [3, 5]


def test_quotes_hold_commas_and_quotes() -> None:
    (line,) = read('number,amount,note\n1,2,"a, ""b"""\n')
    assert line.values["note"] == 'a, "b"'


def test_one_bad_line_leaves_the_others_be() -> None:
    found = problems(b'number,amount\n1,2\n"1,2\n3\n4,5,6\n\xff,2\n"1"x,2\n1\r2,3\n7,8\n')
    assert found == {
        3: "its quotes do not match",
        4: "it has 1 fields, not 2",
        5: "it has 3 fields, not 2",
        6: "it is not UTF-8",
        7: "its quotes do not match",
        8: "its quotes do not match",
    }


def test_a_line_that_is_too_long_is_one_bad_line() -> None:
    content = b"number,amount\n" + b"9" * (3 * LINE_BYTES_MAX) + b"\n1,2\n"
    bad, good = read(content)
    assert (bad.number, good.number) == (2, 3)
    assert bad.refusal is not None
    assert good.values == {"number": "1", "amount": "2"}
    assert problems(b"number,amount\n" + b"9" * (2 * LINE_BYTES_MAX + 1)) != {}, "without an end"


def test_missing_columns_are_named_and_nothing_of_the_file_is_repeated() -> None:
    assert problem_of("note\nx\n") == "it has no column number, amount"
    assert problem_of("number\n1\n") == "it has no column amount"
    assert "DE89" not in problem_of("DE8937040044,12.50\n")
    assert "separated by commas" in problem_of("number;amount\n1;2\n")
    assert "separated by commas" in problem_of("number\tamount\n1\t2\n")


def test_columns_that_mean_nothing_are_named_with_those_that_do() -> None:
    problem = problem_of("number,amount,instalments\n1,2,3\n")
    assert "instalments" in problem
    assert "number, amount, note" in problem


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\n1,2\n", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        ("number,amount\n1,2\n".encode("utf-16"), "UTF-16"),
        ("number,amount,not\xe9\n".encode("latin-1"), "UTF-8"),
        (b"number,amount\r1,2\r", "CR"),
        (b'number,"amount\n', "quotes"),
        (b"number,amount,account\n1,2,3\n", "twice"),
        (b"n" * (LINE_BYTES_MAX + 1), "longer"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(content: bytes, word: str) -> None:
    assert word in problem_of(content)


def test_no_more_than_a_line_is_in_memory() -> None:
    class Endless(io.RawIOBase):
        """A file without an end."""

        def __init__(self) -> None:
            self.lines: Iterator[bytes] = iter([b"number,amount\n"])
            self.given = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            del size
            self.given += 1
            return next(self.lines, b"1,2\n")

    stream = Endless()
    lines = iter(CsvReader(stream, COLUMNS))  # pyright: ignore[reportArgumentType] - as much of a file as is read
    for _ in range(10):
        next(lines)
    assert stream.given <= 12
