"""Settings are found where people put them, and a bad one is named in one sentence."""

from pathlib import Path

import pytest

from tallybook.ambient.setting_types import shown_url
from tallybook.ambient.settings import LIVE_CONFIRMATION, load_settings
from tallybook.ambient.surroundings import SettingsError
from tallybook.db.engine import database_file
from tallybook.entrypoints.commands.settings import describe

ROUNDINGS = "must be none, floor_to_unit, or nearest_5 for any number above zero."
FILES = "must name a file, not a folder, by a path that is text in UTF-8."
DATABASES = "must be sqlite:///path/to/file.db or postgresql://user:password@host/name."
PATH_ONLY = "must hold nothing but scheme, host, port and path; a token goes into"
LIVE = {
    "processor_url": "https://bank.example",
    "processor_live": True,
    "live_confirmation": LIVE_CONFIRMATION,
    "house_account": "DE89370400440532013000",
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in an empty folder, with none of the developer's own settings around."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "PROJECT_NAME", "API_V1_PREFIX", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


def problems(**given: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)
    return caught.value.problems


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.database_url.get_secret_value() == "sqlite:///./billing.db"
    assert settings.home == tmp_path / "billing-data"
    assert settings.key_path == tmp_path / "billing-data" / "master.key"
    assert (settings.host, settings.port, settings.timezone) == ("127.0.0.1", 8000, "UTC")
    assert not settings.is_live


# --- where they are found -------------------------------------------------------------------------


def test_what_is_given_beats_the_environment_which_beats_dotenv(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("TALLYBOOK_PORT=1\nTALLYBOOK_RUN_HOUR=1\nTALLYBOOK_HOLD_DAYS=1\n")
    monkeypatch.setenv("TALLYBOOK_PORT", "2")
    monkeypatch.setenv("TALLYBOOK_RUN_HOUR", "2")
    settings = load_settings(port=3)
    assert (settings.port, settings.run_hour, settings.hold_days) == (3, 2, 1)


@pytest.mark.parametrize(
    ("bare", "field"),
    [
        ("DATABASE_URL", "database_url"),
        ("PROJECT_NAME", "project_name"),
        ("API_V1_PREFIX", "api_v1_prefix"),
    ],
)
def test_a_bare_name_works_and_our_own_name_beats_it(
    monkeypatch: pytest.MonkeyPatch, bare: str, field: str
) -> None:
    values = {"database_url": "sqlite:///a.db", "project_name": "A", "api_v1_prefix": "/a"}
    monkeypatch.setenv(bare, values[field])
    shown = {line.variable: line.value for line in describe(load_settings())}
    assert shown[bare] == values[field]
    monkeypatch.setenv(f"TALLYBOOK_{bare}", values[field].replace("a", "b").replace("A", "B"))
    shown = {line.variable: line.value for line in describe(load_settings())}
    assert shown[bare] != values[field]


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://bob:s3cret@db/book\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(secret))
    settings = load_settings()
    assert settings.database_url.get_secret_value() == "postgresql://bob:s3cret@db/book"
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "gone"))
    assert problems() == [
        "DATABASE_URL_FILE names a file that can't be read: No such file or directory."
    ]


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_PROCESSOR_URL", "")
    assert load_settings().processor_url is None


@pytest.mark.parametrize("name", ["a?b=c.db", "r%41.db", "100%.db", "b%3F.db", "a#b.db"])
def test_a_path_is_a_path_whatever_it_would_mean_in_a_url(tmp_path: Path, name: str) -> None:
    settings = load_settings(database_url=tmp_path / name)
    url = settings.database_url.get_secret_value()
    assert database_file(url) == tmp_path / name
    assert settings.home == tmp_path / f"{name.removesuffix('.db')}-data"


def test_a_url_means_one_file_to_all_who_read_it(tmp_path: Path) -> None:
    settings = load_settings(database_url=f"sqlite:///{tmp_path}/my%20book.db")
    assert database_file(settings.database_url.get_secret_value()) == tmp_path / "my book.db"
    assert settings.home == tmp_path / "my book-data"


@pytest.mark.parametrize("url", ["postgresql://[x/book", "postgresql://u:p@h:99999x/book"])
def test_an_address_that_is_none_is_refused_in_a_sentence(url: str) -> None:
    assert problems(database_url=url) == [
        "database_url must have a host and a port that can be ones."
    ]


def test_a_database_may_be_given_as_a_path(tmp_path: Path) -> None:
    settings = load_settings(database_url=tmp_path / "shop.db")
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/shop.db"
    assert settings.home == tmp_path / "shop-data"


def test_a_postgresql_book_has_a_data_directory_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = load_settings(database_url="postgresql://bob:s3cret@db:5432/book?sslmode=require")
    assert settings.home == tmp_path / "tallybook" / "book"


# --- what is wrong with them ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("TALLYBOOK_PORT", "eighty", "TALLYBOOK_PORT must be a whole number."),
        ("TALLYBOOK_PORT", "65536", "TALLYBOOK_PORT must be 65535 or less."),
        ("TALLYBOOK_RUN_HOUR", "-1", "TALLYBOOK_RUN_HOUR must be 0 or more."),
        ("TALLYBOOK_RUN_ENABLED", "perhaps", "TALLYBOOK_RUN_ENABLED must be true or false."),
        (
            "TALLYBOOK_TIMEZONE",
            "../etc/passwd",
            "TALLYBOOK_TIMEZONE must be an IANA time zone such as Europe/Berlin.",
        ),
        (
            "TALLYBOOK_CURRENCY",
            "XAU",
            "TALLYBOOK_CURRENCY must be an ISO 4217 currency such as USD.",
        ),
        (
            "DATABASE_URL",
            "mysql://bob:s3cret@db/book",
            f"DATABASE_URL {DATABASES}",
        ),
        (
            "TALLYBOOK_DATABASE_URL",
            "sqlite://",
            f"TALLYBOOK_DATABASE_URL {DATABASES}",
        ),
        (
            "TALLYBOOK_ON_FAILED_DEBIT",
            "retry",
            "TALLYBOOK_ON_FAILED_DEBIT must be 'end_of_plan' or 'next_due_date'.",
        ),
        (
            "TALLYBOOK_PROCESSOR_TIMEOUT_SECONDS",
            "nan",
            "TALLYBOOK_PROCESSOR_TIMEOUT_SECONDS must be a number.",
        ),
        (
            "API_V1_PREFIX",
            "api/",
            "API_V1_PREFIX must start with a slash and not end with one, such as /api/v1.",
        ),
        (
            "TALLYBOOK_HOUSE_ACCOUNT",
            "1",
            "TALLYBOOK_HOUSE_ACCOUNT must have at least 4 characters.",
        ),
        (
            "TALLYBOOK_CASH_ROUNDING",
            "nearest_0",
            f"TALLYBOOK_CASH_ROUNDING {ROUNDINGS}",
        ),
        ("DATABASE_URL", "sqlite:////", f"DATABASE_URL {FILES}"),
        ("DATABASE_URL", "sqlite:///.", f"DATABASE_URL {FILES}"),
        (
            "TALLYBOOK_PROCESOR_URL",
            "x",
            "TALLYBOOK_PROCESOR_URL is not a setting. Is TALLYBOOK_PROCESSOR_URL meant?",
        ),
        (
            "TALLYBOOK_PROCESSOR_URL",
            "http://bob:s3cret@localhost",
            f"TALLYBOOK_PROCESSOR_URL {PATH_ONLY} TALLYBOOK_PROCESSOR_TOKEN.",
        ),
    ],
)
def test_a_bad_setting_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    assert problems() == [sentence]


def test_a_bad_line_of_dotenv_says_that_it_stands_there() -> None:
    Path(".env").write_text("TALLYBOOK_PORT=eighty\nOTHER_PROGRAMS_NAME=1\n")
    assert problems() == ["TALLYBOOK_PORT (in .env) must be a whole number."]


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_PORT", "x")
    monkeypatch.setenv("TALLYBOOK_POTR", "x")
    monkeypatch.setenv("DATABASE_URL", "x")
    assert len(problems()) == 3


def test_a_name_that_is_none_is_refused_in_code_as_well() -> None:
    assert problems(prot=1) == [
        "'prot' is not a setting. `tallybook settings` lists those there are."
    ]


def test_what_kubernetes_adds_is_not_taken_for_a_typing_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TALLYBOOK_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("TALLYBOOK_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("TALLYBOOK_PORT_8000_TCP", "tcp://10.0.0.1:8000")
    assert load_settings().port == 8000
    Path(".env").write_text("TALLYBOOK_PORT=9000\n")
    assert load_settings().port == 9000


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"advance_min": "0"}, 1),
        ({"advance_min": "1.005"}, 1),
        ({"advance_max": "1.5", "currency": "JPY"}, 1),
        ({"advance_min": "10", "advance_max": "9.99"}, 1),
        ({"advance_min": "x", "advance_max": "y"}, 2),
    ],
)
def test_bounds_of_advances_are_amounts(given: dict[str, object], count: int) -> None:
    assert len(problems(**given)) == count


# --- real money -----------------------------------------------------------------------------------


def test_a_live_processor_needs_every_part() -> None:
    assert load_settings(**LIVE).is_live


@pytest.mark.parametrize(
    "change",
    [
        {"processor_live": False},
        {"live_confirmation": None},
        {"live_confirmation": "yes"},
        {"live_confirmation": LIVE_CONFIRMATION.upper()},
        {"processor_url": None},
        {"processor_url": "http://bank.example"},
        {"house_account": None},
    ],
)
def test_one_wrong_part_is_enough_to_stay_simulated(change: dict[str, object]) -> None:
    assert len(problems(**{**LIVE, **change})) == 1


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9100", "http://localhost:9100/", "http://[::1]:9100"]
)
def test_a_processor_on_this_machine_is_a_simulator(url: str) -> None:
    settings = load_settings(processor_url=url)
    assert settings.processor_url is not None
    assert not settings.is_live


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1.evil.example", "http://10.0.0.1", "http://0.0.0.0"]
)
def test_what_only_looks_like_this_machine_is_not(url: str) -> None:
    assert len(problems(processor_url=url)) == 1


# --- shown ----------------------------------------------------------------------------------------


def test_secrets_are_masked_wherever_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://bob:s3cret@db/book")
    settings = load_settings(house_account="DE89370400440532013000", processor_token="t0ken")
    shown = "\n".join(map(str, describe(settings)))
    for secret in ("s3cret", "DE8937040044053201", "t0ken"):
        assert secret not in shown
        assert secret not in repr(settings)
        assert secret not in settings.model_dump_json()
    assert "bob" in shown


def test_a_setting_says_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("TALLYBOOK_HOLD_DAYS=3\n")
    monkeypatch.setenv("TALLYBOOK_PORT", "2")
    origins = {line.variable: line.origin for line in describe(load_settings(currency="EUR"))}
    assert origins["TALLYBOOK_HOLD_DAYS"] == "TALLYBOOK_HOLD_DAYS, .env"
    assert origins["TALLYBOOK_PORT"] == "TALLYBOOK_PORT, environment"
    assert origins["TALLYBOOK_CURRENCY"] == "given"
    assert origins["TALLYBOOK_HOST"] == "default"


def test_every_setting_has_a_meaning() -> None:
    assert [line.variable for line in describe(load_settings()) if not line.meaning] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///./billing.db", "sqlite:///./billing.db"),
        ("postgresql://bob@db/book", "postgresql://bob@db/book"),
        ("postgresql://bob:p@ss@db/book", "postgresql://bob:****@db/book"),
        ("postgresql:///book?password=s3cret", "postgresql:///book"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown_url(url) == shown
