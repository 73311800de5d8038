"""Whatever goes wrong, a person gets a sentence, and a script gets an exit code."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from tallybook.ambient.secrets import SecretsError
from tallybook.ambient.surroundings import SettingsError
from tallybook.db.engine import DatabaseUrlError
from tallybook.db.migrate import DatabaseTooNewError
from tallybook.entrypoints.errors import CommandError, ExitCode, explain, tell
from tallybook.kernel.progress import Stopped
from tallybook.kernel.refusal import REFUSALS, Refusal, Refused


@pytest.mark.parametrize(
    ("error", "code", "sentences"),
    [
        (SettingsError(["A.", "B."]), 2, ["A.", "B."]),
        (DatabaseUrlError("not a database URL: x"), 2, ["Not a database URL: x."]),
        (
            Refused(Refusal("run_out_of_order", details={"last": "2026-03-02"})),
            3,
            [
                REFUSALS["run_out_of_order"].sentence.format(last="2026-03-02")
                + " (run_out_of_order)"
            ],
        ),
        (DatabaseTooNewError("it is newer"), 4, ["It is newer."]),
        (SecretsError("the key is missing."), 4, ["The key is missing."]),
        (CommandError("No.", ExitCode.FOUND), 1, ["No."]),
        (Stopped(), 130, ["Stopped. The same command goes on where this one ended."]),
        (
            OperationalError("SELECT ?", ("s3cret",), sqlite3.OperationalError("disk is gone\nx")),
            4,
            ["The database can't be used: disk is gone."],
        ),
        (PermissionError(13, "Permission denied", "/book"), 4, ["Permission denied (/book)."]),
        (
            KeyError("s3cret"),
            4,
            ["Something broke on our side: KeyError. Set TALLYBOOK_DEBUG=1 to see all of it."],
        ),
    ],
)  # fmt: skip
def test_an_error_is_told_in_sentences(
    error: Exception, code: int, sentences: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(error) == (code, sentences)
    assert tell(error) == code
    told = capsys.readouterr().err
    assert told == "".join(f"tallybook: {sentence}\n" for sentence in sentences)
    assert "s3cret" not in told
