"""The log: one line per record, of known fields only, with no values that could be secret.

Source: T6. An account number, a key or a message body must not reach the log, however it came
into a message or an exception. So nothing is copied that is not known to be harmless: a message is
its constant text, an extra field must be on the list and look the way that field looks, and an
exception is told by its type, its constraint and its place, never by its words.
"""

from __future__ import annotations

import errno
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, date, datetime
from enum import Enum
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal, TextIO

REQUEST_ID: ContextVar[str | None] = ContextVar("tallybook_request_id", default=None)
"""The id of the request that is being served here."""

Shape = re.Pattern[str]

_IDENT = re.compile(r"(?:[a-z]{2,5}_)?[0-9a-f]{32}|[0-9]{1,6}")
"""An id of ours, or a short number: a product or a receipt."""
_WORD = re.compile(r"[A-Za-z_]+(?:[._:-][A-Za-z_]+|[0-9]{1,2})*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# A client may choose a request's id: kept are the usual forms, and words that end in a number.
_REQUEST = re.compile(
    r"(?:[a-z]{2,5}_)?[0-9a-f]{24,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|[A-Za-z][A-Za-z_.-]{0,50}[0-9]{0,5}"
)
_ROUTE = re.compile(r"(?:/(?:[a-z_.-]+|v[0-9]+|\{[a-z_]+\}))+|/|\(none\)")
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,2}")
_WORD_LENGTH = 80
_NUMBER_BELOW = 10**9
"""Counts and times are smaller; an account number given as an integer mostly is not."""

FIELDS: Mapping[str, Shape] = {
    **dict.fromkeys(
        (
            "advance_id",
            "api_key_id",
            "customer_id",
            "item_id",
            "loan_id",
            "report_id",
            "run_id",
            "subject_id",
            "subject_ids",
            "transfer_id",
        ),
        _IDENT,
    ),
    **dict.fromkeys(("business_date", "report_on"), _DATE),
    **dict.fromkeys(
        (
            "attempt",
            "code",
            "command",
            "commands",
            "constraint",
            "count",
            "event",
            "kind",
            "method",
            "milliseconds",
            "port",
            "refusal",
            "rows",
            "run",
            "signal",
            "state",
            "status",
            "step",
            "total",
        ),
        _WORD,
    ),
    "request_id": _REQUEST,
    "route": _ROUTE,
    "version": _VERSION,
}
"""What a line may carry besides its message, as `extra={"command": ...}`, and how it must look.

Numbers, booleans and dates may stand in any field. What is not here, or looks otherwise, is left
out without a word: a line that is missing something is better than one that tells too much.
"""

_KEEP_OR_HIDE = re.compile(
    r"(?P<keep>\b(?:[a-z]{2,5}_)?[0-9a-f]{32}\b|\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b)"
    # Long numbers, alone or in groups, with the letters around them: 1234 5678, DE89 3704...
    r"|\b[A-Za-z]{0,4}[0-9](?:[ -]?[0-9]){5,}[A-Za-z]{0,4}\b"
    # One word that is letters and digits mixed: AB12CD34E.
    r"|\b(?=(?:[A-Za-z]*[0-9]){4})(?=[0-9]*[A-Za-z])[0-9A-Za-z]{6,}\b"
)
_SQLITE_SAYS = re.compile(
    r"(?:CHECK|UNIQUE|NOT NULL|FOREIGN KEY) constraint failed(?:: (?P<names>[\w., ]+))?|(\w+_\w+)"
)
_FRAMES, _CAUSES = 12, 4


@lru_cache(maxsize=512)
def mask(text: str) -> str:
    """Hide what looks like an account number; ids of ours and dates stay.

    >>> mask("no account DE89 3704 0044 0532 for 12 customers on 2026-03-01")
    'no account **** for 12 customers on 2026-03-01'
    """
    return _KEEP_OR_HIDE.sub(lambda found: found["keep"] or "****", text)


def harmless(value: object, shape: Shape = _WORD) -> Any:  # noqa: ANN401 - any JSON scalar
    """Give a value the form in which it may be logged; None where it may not be."""
    if isinstance(value, Enum):
        value = value.value if isinstance(value.value, str) else value.name
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) < _NUMBER_BELOW else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and len(value) <= _WORD_LENGTH and shape.fullmatch(value):
        return value if shape is not _WORD or mask(value) == value else None
    return None


def fields_of(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """List the extra fields of a record that may be written."""
    if (request := harmless(REQUEST_ID.get(), _REQUEST)) is not None:
        yield "request_id", request
    for name in sorted(record.__dict__.keys() & FIELDS.keys()):
        value, shape = record.__dict__[name], FIELDS[name]
        if isinstance(value, list | tuple | set | frozenset):
            many = [harmless(one, shape) for one in value]
            if kept := [one for one in many if one is not None]:
                yield name, kept
        elif (one := harmless(value, shape)) is not None:
            yield name, one


def message_of(record: logging.LogRecord) -> str:
    """Write a record's message: its constant text, with only those arguments that are harmless."""
    text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    arguments = record.args
    if isinstance(arguments, Mapping):
        arguments = {name: _argument(value) for name, value in arguments.items()}
    elif arguments:
        arguments = tuple(_argument(value) for value in arguments)
    if arguments:
        # A %d whose number was left out fails: the constant text then says enough.
        with suppress(TypeError, ValueError, KeyError):
            text %= arguments
    # Further lines of a message are somebody's repr of something.
    return mask(text.partition("\n")[0])[:300]


def _argument(value: object) -> object:
    for shape in (_WORD, _IDENT, _DATE):
        if (kept := harmless(value, shape)) is not None:
            return kept
    return "..."


def describe_error(error: BaseException) -> str:
    """Tell an error on one line: type, constraint or code, and where; and so for its causes.

    >>> describe_error(ValueError("account 12345678"))
    'ValueError'
    """
    told: list[str] = []
    current: BaseException | None = error
    while current is not None and len(told) < _CAUSES:
        told.append(_describe_one(current))
        shown = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or shown
    return "; caused by ".join(told)


def _describe_one(error: BaseException) -> str:
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    detail = _detail(error)
    places = " < ".join(reversed(list(_places(error.__traceback__))))
    inner = ""
    if isinstance(error, BaseExceptionGroup):
        inner = " of " + ", ".join(_describe_one(one) for one in error.exceptions[:_CAUSES])
    return f"{name}{f'[{detail}]' if detail else ''}{f' at {places}' if places else ''}{inner}"


def _detail(error: BaseException) -> str | None:
    """Find what may be told of an error beyond its type: a name or a code, never its text."""
    refusal = getattr(error, "refusal", None)
    if (code := harmless(getattr(refusal, "code", None))) is not None:
        return str(code)
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    if (diagnosis := getattr(error, "diag", None)) is not None:
        known = getattr(diagnosis, "constraint_name", None) or getattr(error, "sqlstate", None)
        return known if isinstance(known, str) and re.fullmatch(r"\w{1,63}", known) else None
    if type(error).__module__ == "sqlite3" and (found := _SQLITE_SAYS.fullmatch(str(error))):
        return str(found["names"] or found[0])
    return None


def _places(traceback: TracebackType | None) -> Iterator[str]:
    """List where an error came through, outermost first, the last few frames of it."""
    frames: list[str] = []
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        frames.append(f"{module}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    yield from frames[-_FRAMES:]


class JsonLines(logging.Formatter):
    """Writes each record as one line of JSON, in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
            **dict(fields_of(record)),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe_error(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """Writes each record as one line for a person at a terminal; the same facts as in JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        parts = [_instant(record)[11:23], f"{record.levelname.lower():7}", message_of(record)]
        parts += [f"{name}={value}" for name, value in fields_of(record)]
        if record.exc_info and record.exc_info[1] is not None:
            parts.append(describe_error(record.exc_info[1]))
        return " ".join(parts)


def _instant(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return instant.replace("+00:00", "Z")


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Stay silent: what logging would print here is the record's arguments."""
        del record


def log_to(
    stream: TextIO | None = None,
    *,
    level: str = "INFO",
    style: Literal["auto", "json", "text"] = "auto",
) -> None:
    """Send everything that is logged to a stream, the standard error unless told otherwise.

    What threads leave uncaught goes the same way: Python would print its words.
    """
    stream = stream or sys.stderr
    assert stream is not None, "a program without standard error says where its log goes"
    is_text = style == "text" or (style == "auto" and stream.isatty())
    handler = _Handler(stream)
    handler.setFormatter(PlainLines() if is_text else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    # Libraries speak up only when something is wrong; their chatter quotes what they work on.
    logging.getLogger("tallybook").setLevel(level)
    threading.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable


def _log_uncaught(uncaught: threading.ExceptHookArgs) -> None:
    _uncaught.error("a thread broke", exc_info=uncaught.exc_value)


def _log_unraisable(unraisable: Any) -> None:  # noqa: ANN401 - its type exists for checkers only
    _uncaught.error("an error could not be raised", exc_info=unraisable.exc_value)


_uncaught = logging.getLogger("tallybook.uncaught")
