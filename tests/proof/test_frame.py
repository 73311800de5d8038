"""The frame of the long proof can fail, and says so."""

import pytest

from tests.proof.__main__ import main, run
from tests.proof.check import Check, Ground, Result, ground
from tests.proof.rows import all_checks


def check(name: str, result: Result | Exception) -> Check:
    def act(amount: int, place: Ground) -> Result:
        assert amount == 5
        assert place.scratch.is_dir()
        if isinstance(result, Exception):
            raise result
        return result

    return Check(name, "tries", full=100, in_check=1, run=act)


def test_the_table_tells_what_was_asked_done_and_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([check("one", Result(5, seen="2 rare states"))], 0.05) == 0
    table = capsys.readouterr().out
    assert "| check | asked | did | found | time |" in table
    assert "| one | 5 tries | 5 | ok; 2 rare states | 0 s |" in table


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Result(5, ["seed 7: a cent is missing"]), "seed 7: a cent is missing"),
        (Result(0), "nothing was done"),
        (ValueError("broken"), "it broke: ValueError: broken"),
    ],
)
def test_one_failure_fails_the_proof_and_the_rest_is_still_run(
    result: Result | Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([check("bad", result), check("good", Result(5))], 0.05) == 1
    told = capsys.readouterr().out
    assert said in told
    assert "| good | 5 tries | 5 | ok | 0 s |" in told


def test_a_check_that_ran_out_of_time_does_not_claim_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([check("slow", Result(3))], 0.05) == 0
    assert "| slow | 5 tries | 3 | ok, stopped by time |" in capsys.readouterr().out
    with ground(minutes=0) as place:
        assert not place.may_go_on()


def test_rows_have_names_of_their_own_and_amounts_that_grow() -> None:
    for each in all_checks():
        assert 0 < each.in_check <= each.full, each.name
        assert each.asked(1) == each.full, each.name
        assert each.asked(0) == each.least, each.name


def test_a_row_that_does_not_exist_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no such row"]) == 2
    assert "no such check" in capsys.readouterr().err
