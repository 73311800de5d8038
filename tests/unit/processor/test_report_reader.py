import csv
import io
import time
import tracemalloc
from datetime import date
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.processor import report_reader
from tallybook.processor.model import Result
from tallybook.processor.port import Direction
from tallybook.processor.report_reader import (
    LINE_LIMIT,
    ReportReading,
    ReportRow,
    ReportStream,
    read_report,
)

HEAD = b"transaction_id,result\n"
RICH_HEAD = b"transaction_id,result,amount,account,direction,date,reason\n"
RICH_ROW = b"txn_1,fail,12.50,DE02,debit,2026-03-02,account closed\n"


def codes(reading: ReportReading) -> list[str]:
    return [code for _, code in reading.problems]


def ids(reading: ReportReading) -> list[str]:
    return [row.transaction_id for row in reading.rows]


def test_plain() -> None:
    reading = read_report(HEAD + b"txn_1,success\ntxn_2,fail\n#end,2\n")
    assert reading.rows == (ReportRow("txn_1", Result.SUCCESS), ReportRow("txn_2", Result.FAIL))
    assert reading.ended
    assert not reading.is_rich
    assert reading.problems == ()
    assert reading.rows[0].result is Result.SUCCESS


def test_rich() -> None:
    reading = read_report(RICH_HEAD + RICH_ROW + b"txn_2,success,,,,,\n#end,2\n")
    assert reading.ended
    assert reading.is_rich
    assert reading.rows[0] == ReportRow(
        "txn_1", Result.FAIL, "12.50", "DE02", Direction.DEBIT, date(2026, 3, 2), "account closed"
    )
    assert reading.rows[0].direction is Direction.DEBIT
    assert reading.rows[1] == ReportRow("txn_2", Result.SUCCESS)


def test_the_header_says_where_the_columns_are() -> None:
    reading = read_report(
        b"branch,Result, account ,transaction_id,direction,amount\n"
        b"7,success,DE02,txn_1,credit,5\n#end,1\n"
    )
    assert reading.ended
    assert reading.is_rich
    assert reading.rows == (ReportRow("txn_1", Result.SUCCESS, "5", "DE02", Direction.CREDIT),)


def test_amounts_alone_do_not_identify() -> None:
    assert not read_report(b"transaction_id,result,amount\ntxn_1,fail,5\n#end,1\n").is_rich


def test_an_empty_report_that_says_so_is_read_to_its_end() -> None:
    reading = read_report(HEAD + b"#end,0\n")
    assert (reading.ended, reading.rows) == (True, ())


@pytest.mark.parametrize("end", [b"#end,1\n", b"#end,1", b"#end,1\r\n", b"#end,01\n\n\n"])
def test_ends_that_are_good_enough(end: bytes) -> None:
    assert read_report(HEAD + b"txn_1,fail\n" + end).ended


def test_windows_line_ends_and_quotes() -> None:
    reading = read_report(
        RICH_HEAD.replace(b"\n", b"\r\n")
        + b'"txn_1","fail","12.50","DE02","debit","2026-03-02","closed, by ""them"""\r\n#end,1\r\n'
    )
    assert reading.ended
    assert reading.rows[0].reason == 'closed, by "them"'


@pytest.mark.parametrize(
    ("encoding", "prefix"),
    [
        ("utf-16", b""),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-8-sig", b""),
    ],
)
def test_other_encodings_are_read_all_the_same(encoding: str, prefix: bytes) -> None:
    raw = prefix + (HEAD + b"txn_1,fail\n#end,1\n").decode().encode(encoding)
    reading = read_report(raw)
    assert reading.ended
    assert reading.rows == (ReportRow("txn_1", Result.FAIL),)


def test_an_old_encoding_may_stand_in_a_reason_but_not_in_an_id() -> None:
    row = "txn_1,fail,,,,,Konto ungültig\n".encode("latin-1")
    reading = read_report(RICH_HEAD + row + b"#end,1\n")
    assert (reading.ended, reading.rows[0].reason) == (True, "Konto ungültig")
    reading = read_report(HEAD + "txn_é,fail\ntxn_2,fail\n#end,2\n".encode("latin-1"))
    assert (reading.ended, ids(reading)) == (False, ["txn_2"])
    assert reading.problems == ((2, "transaction_id_invalid"),)


@pytest.mark.parametrize(
    ("raw", "used", "problems"),
    [
        (b"", [], ["trailer_missing"]),
        (b"\n\n", [], ["trailer_missing"]),
        (b"\xff\xfe", [], ["trailer_missing"]),
        (HEAD, [], ["trailer_missing"]),
        (HEAD + b"txn_1,fail\n", ["txn_1"], ["trailer_missing"]),
        (HEAD + b"txn_1,fail\ntxn_2,fa", ["txn_1"], ["line_cut", "trailer_missing"]),
        (HEAD + b"txn_1,fail", [], ["line_cut", "trailer_missing"]),
        (HEAD + b"txn_1,fail\n#end,2\n", ["txn_1"], ["trailer_count"]),
        (HEAD + b"txn_1,fail\n#end," + b"9" * 10_000 + b"\n", ["txn_1"], ["trailer_count"]),
        (HEAD + b"#end\n", [], ["trailer_unreadable", "trailer_missing"]),
        (HEAD + b"#end,-1\n", [], ["trailer_unreadable", "trailer_missing"]),
        (HEAD + b"#end,\xc2\xb2\n", [], ["trailer_unreadable", "trailer_missing"]),
        (HEAD + b"#ending,0\n", [], ["trailer_unreadable", "trailer_missing"]),
        (HEAD + b"#end,0\ntxn_1,fail\n", [], ["after_trailer"]),
        (HEAD + b"#end,0\n#end,0\n", [], ["after_trailer"]),
        (HEAD + b"txn_1,Success\n#end,1\n", [], ["result_unknown"]),
        (HEAD + b"txn_1,pending\ntxn_2,fail\n#end,2\n", ["txn_2"], ["result_unknown"]),
        (HEAD + b",fail\n#end,1\n", [], ["transaction_id_invalid"]),
        (HEAD + b"x" * 256 + b",fail\n#end,1\n", [], ["transaction_id_invalid"]),
        (HEAD + b"tx\0n,fail\n#end,1\n", [], ["transaction_id_invalid"]),
        (HEAD + b"txn_1\n#end,1\n", [], ["columns"]),
        (HEAD + b"txn_1,fail,12.50\n#end,1\n", [], ["columns"]),
        (HEAD + b'"txn_1,fail\n#end,1\n', [], ["quoting"]),
        (HEAD + b'"txn_1"x,fail\n#end,1\n', [], ["quoting"]),
        (HEAD + b"txn_1,fail\n" + HEAD + b"#end,1\n", ["txn_1"], ["header_repeated"]),
        (b"txn_1,fail\n#end,1\n", ["txn_1"], ["header_missing"]),
        (b"#end,0\n", [], ["header_missing"]),
        (
            b"result,amount\nfail,5\n#end,1\n",
            [],
            ["header_without_transaction_id", "transaction_id_invalid"],
        ),
        (b"transaction_id,result,result\nt,fail,success\n#end,1\n", ["t"], ["header_column_twice"]),
        (
            b"<!DOCTYPE html>\n<html></html>\n",
            [],
            ["header_missing", "columns", "columns", "trailer_missing"],
        ),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_used(
    raw: bytes, used: list[str], problems: list[str]
) -> None:
    reading = read_report(raw)
    assert not reading.ended
    assert ids(reading) == used
    assert codes(reading) == problems


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        (b"12.50", b"12.50.1", "amount_invalid"),
        (b"12.50", b'"12,50"', "amount_invalid"),
        (b"12.50", b"-12.50", "amount_invalid"),
        (b"12.50", b"NaN", "amount_invalid"),
        (b"12.50", b"1e400", "amount_invalid"),
        (b"12.50", "١٢".encode(), "amount_invalid"),
        (b"DE02", b"DE\x0002", "account_invalid"),
        (b"debit", b"DEBIT", "direction_unknown"),
        (b"2026-03-02", b"2026-02-31", "date_invalid"),
        (b"2026-03-02", b"02.03.2026", "date_invalid"),
    ],
)
def test_cells_of_a_rich_row(good: bytes, bad: bytes, problem: str) -> None:
    reading = read_report(
        RICH_HEAD + RICH_ROW.replace(good, bad) + RICH_ROW.replace(b"txn_1", b"txn_2") + b"#end,2\n"
    )
    assert reading.problems == ((2, problem),)
    assert ids(reading) == ["txn_2"]
    assert not reading.ended


def test_lines_are_numbered_from_one_also_after_many_good_ones() -> None:
    good = b"txn_1,fail\n" * 50_000
    reading = read_report(HEAD + good + b"oops\n" + good + b"#end,100001\n")
    assert reading.problems == ((50_002, "columns"),)
    assert len(reading.rows) == 100_000


def test_no_more_than_a_hundred_problems_are_kept() -> None:
    reading = read_report(HEAD + b"oops\n" * 10_000 + b"#end,10000\n")
    assert len(reading.problems) == 100
    assert not reading.ended


@pytest.mark.parametrize("tail", [b"\ntxn_2,fail\n#end,2\n", b""])
def test_a_line_without_end_costs_neither_memory_nor_time(tail: bytes) -> None:
    raw = HEAD + b"x" * 10_000_000 + tail
    tracemalloc.start()
    started = time.process_time()
    reading = read_report(raw)
    seconds = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert codes(reading)[0] == ("line_too_long" if tail else "line_cut")
    assert ids(reading) == (["txn_2"] if tail else [])
    assert peak < 4_000_000
    assert seconds < 2


def test_a_reason_as_long_as_a_line_may_be_is_cut_short() -> None:
    reading = read_report(RICH_HEAD + b"t,fail,,,,," + b"x" * (LINE_LIMIT - 100) + b"\n#end,1\n")
    assert reading.ended
    assert len(reading.rows[0].reason or "") == 1000


def test_a_stream_needs_memory_for_a_chunk_only() -> None:
    rows = b"".join(b"txn_%016x,success\n" % n for n in range(200_000))
    raw = HEAD + rows + b"#end,200000\n"
    tracemalloc.start()
    stream = ReportStream(raw)
    count = sum(len(chunk) for chunk in stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, stream.ended) == (200_000, True)
    assert peak < 8_000_000


def read_in_blocks(raw: bytes, size: int) -> ReportReading:
    """Read as if so few bytes were a block, so that whole blocks of usual rows are met as well."""
    with patch.object(report_reader, "_BLOCK", size):
        return read_report(raw)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (RICH_ROW.replace(b"2026-03-02", b"2026-02-31"), "date_invalid"),
        (RICH_ROW.replace(b"12.50", b"12.5.0"), "amount_invalid"),
        (b"#end,1\n", "after_trailer"),
        (RICH_HEAD, "header_repeated"),
    ],
)
def test_a_bad_line_is_found_in_any_block(row: bytes, problem: str) -> None:
    raw = RICH_HEAD + RICH_ROW + row + RICH_ROW * 2 + b"#end,4\n"
    reading = read_in_blocks(raw, len(RICH_ROW))
    assert problem in codes(reading)
    assert not reading.ended
    assert reading == read_report(raw)


def test_a_long_reason_is_cut_short_in_any_block() -> None:
    raw = RICH_HEAD + RICH_ROW.replace(b"closed", b"c" * 1_500) * 3 + b"#end,3\n"
    reading = read_in_blocks(raw, 2_000)
    assert reading == read_report(raw)
    assert {len(row.reason or "") for row in reading.rows} == {1_000}


@given(st.binary(max_size=2_000))
def test_no_bytes_raise(raw: bytes) -> None:
    reading = read_report(raw)
    assert not reading.ended or raw


pieces = st.sampled_from(
    [b"transaction_id", b"result", b"amount", b"date", b",", b'"', b"\n", b"\r\n", b"#end,", b"1",
     b"success", b"fail", b"txn_1", b"2026-03-02", b"\0", b"\xff", b"\xff\xfe", b" ", b"<html>"]
)  # fmt: skip


@given(st.lists(pieces, max_size=60).map(b"".join))
def test_no_bytes_that_look_like_a_report_raise(raw: bytes) -> None:
    reading = read_report(raw)
    assert read_in_blocks(raw, 20) == reading
    for row in reading.rows:
        assert 0 < len(row.transaction_id) <= 255
        assert row.transaction_id.isprintable()


def text_of(*, minimum: int) -> st.SearchStrategy[str]:
    characters = st.characters(codec="utf-8", exclude_characters="\ufffd")
    return st.text(characters, min_size=minimum, max_size=40).filter(
        lambda text: text.isprintable() and text == text.strip() and not text.startswith("#end")
    )


rows = st.builds(
    ReportRow,
    transaction_id=text_of(minimum=1).filter(lambda text: text != "transaction_id"),
    result=st.sampled_from(Result),
    amount=st.none()
    | st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,3})?", fullmatch=True).filter(str.isascii),
    account=st.none() | text_of(minimum=1),
    direction=st.none() | st.sampled_from(Direction),
    date=st.none() | st.dates(date(1900, 1, 1), date(2200, 12, 31)),
    reason=st.none() | text_of(minimum=1).map(lambda text: " ".join(text.split())).filter(bool),
)


@given(st.lists(rows, max_size=30), st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
       st.sampled_from(["\n", "\r\n"]), st.permutations(ReportRow._fields))  # fmt: skip
def test_any_rows_come_back_as_they_were_written(
    written: list[ReportRow], encoding: str, line_end: str, columns: list[str]
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end)
    writer.writerow(columns)
    for row in written:
        cells = row._asdict()
        writer.writerow([cells[name] for name in columns])
    out.write(f"#end,{len(written)}{line_end}")
    reading = read_report(out.getvalue().encode(encoding))
    assert read_in_blocks(out.getvalue().encode(encoding), 150) == reading
    assert reading.problems == ()
    assert reading.ended
    assert list(reading.rows) == written


@given(st.lists(rows.map(lambda row: ReportRow(row.transaction_id, row.result)), max_size=30),
       st.data())  # fmt: skip
def test_a_report_cut_anywhere_never_counts_as_ended_and_never_makes_up_a_row(
    written: list[ReportRow], data: st.DataObject
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["result", "transaction_id"])
    writer.writerows((row.result, row.transaction_id) for row in written)
    out.write(f"#end,{len(written)}\n")
    raw = out.getvalue().encode()
    reading = read_report(raw[: data.draw(st.integers(0, len(raw) - 2))])
    assert not reading.ended
    assert list(reading.rows) == written[: len(reading.rows)]
