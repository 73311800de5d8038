"""Clocks that tests and simulated installations turn on."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tallybook.ambient.clock import PlayedClock, SystemClock


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "Pacific/Pago_Pago", "Europe/Berlin"])
def test_days_are_played_forward_and_never_back(zone: str) -> None:
    clock, real = PlayedClock(zone), SystemClock(zone)
    assert clock.today() == real.today()
    for days in (1, 40, 200, 400):
        day = real.today() + timedelta(days)
        clock.turn_to(day)
        assert clock.today() == day
    clock.turn_to(real.today())
    assert clock.today() == day


def test_the_time_of_day_stays_the_machines() -> None:
    clock = PlayedClock()
    clock.turn_to(clock.today() + timedelta(30))
    ahead = clock.now() - datetime.now(UTC)
    assert abs(ahead - timedelta(30)) < timedelta(seconds=5)


def test_a_late_hour_of_winter_is_no_later_day_of_summer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half past eleven at night in Berlin, and 24-hour days on it is past midnight in June."""
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime(2026, 11, 25, 22, 36, tzinfo=UTC))
    clock = PlayedClock("Europe/Berlin")
    clock.turn_to(date(2027, 6, 13))
    assert clock.today() == date(2027, 6, 13)


def test_a_day_of_25_hours_is_got_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter past midnight in Berlin, and 24 hours on it is a quarter past eleven that night."""
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime(2026, 10, 24, 22, 15, tzinfo=UTC))
    clock = PlayedClock("Europe/Berlin")
    assert clock.today() == date(2026, 10, 25)
    clock.turn_to(date(2026, 10, 26))
    assert clock.today() == date(2026, 10, 26)
