import dataclasses

import pytest

from tallybook.processor.faults import KNOBS, CallFault, Faults, Odds, ReportFault
from tallybook.processor.model import Result
from tallybook.processor.port import Direction


def test_no_faults_is_the_default() -> None:
    assert Faults.parse("") == Faults()
    assert Faults() == Faults(lost_before=0.0, lag=1)


def test_a_person_can_write_them() -> None:
    written = "lost_before=0.05, lost_after=0.05,fail=0.1 ,late=.03,returned=0.02,lag=2,"
    assert Faults.parse(written) == Faults(
        lost_before=0.05, lost_after=0.05, fail=0.1, late=0.03, returned=0.02, lag=2
    )


@pytest.mark.parametrize(
    "text",
    [
        "lost=0.1",
        "fail",
        "fail=",
        "fail=often",
        "fail=1.01",
        "fail=-0.1",
        "fail=nan",
        "fail=inf",
        "fail=0.1,fail=0.2",
        "lag=1.5",
        "lag=-1",
        "lag=31",
        "lost_before=0.6,lost_after=0.6",
        "late=0.6,very_late=0.6",
        "missing_report=0.6,html_report=0.6",
    ],
)
def test_what_is_wrong_is_said_with_the_list_of_knobs(text: str) -> None:
    with pytest.raises(ValueError, match="The knobs are: refused, lost_before") as caught:
        Faults.parse(text)
    assert all(name in str(caught.value) for name in KNOBS)


def test_faults_that_can_come_together_need_not_share_one_sum() -> None:
    Faults.parse("fail=1,returned=1,lost_before=1,late=1,missing_report=1,duplicate_rows=1")


def test_every_knob_is_explained_and_every_fault_has_a_knob() -> None:
    assert list(KNOBS) == [knob.name for knob in dataclasses.fields(Faults)]
    assert all(len(text) > 10 for text in KNOBS.values())
    for fault in (*CallFault, *ReportFault):
        assert fault.name == "NONE" or fault.value in KNOBS


@pytest.mark.parametrize("fault", [fault for fault in CallFault if fault is not CallFault.NONE])
def test_a_certain_fault_of_calls_strikes_every_call(fault: CallFault) -> None:
    odds = Odds(Faults.parse(f"{fault}=1"), seed=3)
    fates = [odds.call_fate(odds.key(n), 0, Direction.DEBIT) for n in range(200)]
    assert {fate.fault for fate in fates} == {fault}


@pytest.mark.parametrize("fault", [fault for fault in ReportFault if fault is not ReportFault.NONE])
def test_a_certain_fault_of_reports_strikes_every_report(fault: ReportFault) -> None:
    odds = Odds(Faults.parse(f"{fault}=1"), seed=3)
    assert {odds.report_fate(day).fault for day in range(200)} == {fault}


def test_faults_come_as_often_as_asked() -> None:
    odds = Odds(
        Faults(lost_before=0.2, crossed=0.1, fail=0.3, fail_credit=0.05, late=0.25, next_day=0.1),
        seed=1,
    )
    count = 20_000
    fates = [odds.call_fate(odds.key(n), 0, Direction.DEBIT) for n in range(count)]

    def share(happened: int) -> float:
        return happened / count

    assert share(sum(f.fault is CallFault.LOST_BEFORE for f in fates)) == pytest.approx(
        0.2, abs=0.02
    )
    assert share(sum(f.fault is CallFault.CROSSED for f in fates)) == pytest.approx(0.1, abs=0.02)
    assert share(sum(f.fault is CallFault.NONE for f in fates)) == pytest.approx(0.7, abs=0.02)
    assert share(sum(f.result is Result.FAIL for f in fates)) == pytest.approx(0.3, abs=0.02)
    assert share(sum(f.result_after != 1 for f in fates)) == pytest.approx(0.25, abs=0.02)
    assert {f.result_after for f in fates} == {1, 2, 3, 4}
    assert share(sum(f.booked_after for f in fates)) == pytest.approx(0.1, abs=0.02)
    paid_out = [odds.call_fate(odds.key(n), 0, Direction.CREDIT) for n in range(count)]
    assert share(sum(f.result is Result.FAIL for f in paid_out)) == pytest.approx(0.05, abs=0.01)


def test_the_draw_depends_on_seed_content_and_occurrence_and_on_nothing_else() -> None:
    faults = Faults(fail=0.5)
    odds = Odds(faults, seed=1)
    key = odds.key("debit", "DE1", 1250, 739_000)
    fate = odds.call_fate(key, 0, Direction.DEBIT)
    assert Odds(faults, seed=1).call_fate(key, 0, Direction.DEBIT) == fate
    assert odds.call_fate(key, 1, Direction.DEBIT).transaction_id != fate.transaction_id
    assert odds.key("debit", "DE1", 1250, 739_001) != key
    assert Odds(faults, seed=2).key("debit", "DE1", 1250, 739_000) != key


def test_results_come_when_the_knobs_say() -> None:
    def afters(**knobs: float) -> set[int | None]:
        odds = Odds(Faults(**knobs), seed=5)  # pyright: ignore[reportArgumentType] - lag is an int
        return {odds.call_fate(odds.key(n), 0, Direction.DEBIT).result_after for n in range(500)}

    assert afters() == {1}
    assert afters(lag=3) == {3}
    assert afters(late=1) == {2, 3, 4}
    assert afters(very_late=1) == {8, 9, 10, 11, 12}
    assert afters(never_reported=1) == {None}
    assert afters(late=1, lag=4) == {4}
