"""What a person is told when a command can't be done: one sentence each, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

DEBUG_VARIABLE = "TALLYBOOK_DEBUG"


class ExitCode(IntEnum):
    """What the exit code of a command says to a script."""

    DONE = 0
    FOUND = 1
    """Done, and something was found wrong: a discrepancy, a line that failed."""
    USAGE = 2
    """The command line or the settings are wrong."""
    REFUSED = 3
    """Understood and refused; nothing was changed."""
    MACHINE = 4
    """The machine, the database or Tallybook itself is in trouble."""
    INTERRUPTED = 130


class CommandError(Exception):
    """A command can't be done, for a reason that is one sentence long."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.MACHINE) -> None:
        super().__init__(sentence)
        self.code = code


def tell(error: BaseException) -> ExitCode:
    """Tell a person what went wrong, and give the exit code for it.

    A developer who sets TALLYBOOK_DEBUG=1 sees the traceback as well.
    """
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    code, sentences = explain(error)
    for sentence in sentences:
        sys.stderr.write(f"tallybook: {sentence}\n")
    return code


def explain(error: BaseException) -> tuple[ExitCode, list[str]]:
    """Put an error into sentences for a person. They are not for the log: they may hold names."""
    match error:
        case CommandError():
            return error.code, [str(error)]
        case _ if _is(error, "tallybook.ambient.surroundings", "SettingsError"):
            return ExitCode.USAGE, list(vars(error)["problems"])
        case _ if _is(error, "tallybook.db.engine", "DatabaseUrlError"):
            return ExitCode.USAGE, [_sentence(str(error))]
        case _ if _is(error, "tallybook.kernel.refusal", "Refused"):
            refusal = vars(error)["refusal"]
            return ExitCode.REFUSED, [f"{refusal.sentence} ({refusal.code})"]
        case _ if _is(error, "tallybook.kernel.progress", "Stopped"):
            return ExitCode.INTERRUPTED, ["Stopped. The same command goes on where this one ended."]
        case _ if any(_is(error, module, name) for module, name in _SPEAK_FOR_THEMSELVES):
            return ExitCode.MACHINE, [_sentence(str(error))]
        case _ if _is(error, "sqlalchemy.exc", "DBAPIError"):
            return ExitCode.MACHINE, [f"The database can't be used: {_first_line(error)}."]
        case OSError() if error.strerror:
            about = f" ({error.filename})" if error.filename else ""
            return ExitCode.MACHINE, [f"{error.strerror}{about}."]
        case _:
            return ExitCode.MACHINE, [_broken(error)]


_SPEAK_FOR_THEMSELVES = (
    ("tallybook.db.migrate", "DatabaseTooNewError"),
    ("tallybook.entrypoints.engine", "DatabaseBehindError"),
    ("tallybook.ambient.secrets", "SecretsError"),
)


def _is(error: BaseException, module: str, name: str) -> bool:
    """Tell whether an error is of a class, without loading what the class would need.

    Who raised it has loaded its module; and where loading is what failed, this must not fail too.
    """
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(error, kind)


def _broken(error: BaseException) -> str:
    from tallybook.ambient.logs import describe_error

    hint = "" if os.environ.get(DEBUG_VARIABLE) else f" Set {DEBUG_VARIABLE}=1 to see all of it."
    return f"Something broke on our side: {describe_error(error)}.{hint}"


def _sentence(text: str) -> str:
    """Give a message a capital letter and a full stop, unless it has them."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _first_line(error: BaseException) -> str:
    """Give the first line of what the driver says: the rest may quote statements and values."""
    lines = str(getattr(error, "orig", None) or "").strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
