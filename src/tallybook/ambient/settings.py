"""Settings: what an installation may choose, read from the environment and from `.env`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tallybook.ambient.setting_types import (
    ApiPrefix,
    CashRounding,
    CurrencyCode,
    DatabaseUrl,
    ProcessorUrl,
    ZoneName,
    default_home,
    is_loopback,
    sqlite_url,
)
from tallybook.ambient.surroundings import (
    PREFIX,
    SettingsError,
    Surroundings,
    env_name,
    misspelt,
    sentences,
)
from tallybook.kernel.money import MINOR_MAX, parse_positive_amount
from tallybook.kernel.refusal import Refused

LIVE_CONFIRMATION = "real money moves"
SIMULATED_HOUSE_ACCOUNT = "HOUSE-0001"


def _home(validated: dict[str, Any]) -> Path:
    url = validated.get("database_url", SecretStr(""))  # it may have been refused a moment ago
    return default_home(url.get_secret_value())


class Settings(BaseSettings):
    """Everything that can be set, checked. `TALLYBOOK_PORT=9000` sets `port`, and so on.

    Each is also taken from a file that `TALLYBOOK_<NAME>_FILE` names, which is how secrets are
    mounted. What is given in code or on the command line wins, then the environment, then `.env`.

    Raises: SettingsError, when loaded by `load_settings`.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    # The book.
    database_url: DatabaseUrl = Field(
        default=SecretStr("sqlite:///./billing.db"),
        description="The database: sqlite:///./billing.db or postgresql://user:password@host/name.",
    )
    home: Path = Field(
        default_factory=_home,
        description="The data directory, for keys and files: beside an SQLite database"
        " (billing.db: billing-data), else ~/.local/share/tallybook/<database name>.",
    )
    key_file: Path | None = Field(
        default=None,
        description="The file with the key that seals account numbers; made on the first start as"
        " master.key in the data directory. Back it up apart from the database.",
    )
    anchor_file: Path | None = Field(
        default=None,
        description="The file that the chains' heads are written into, by which a cut tail or a"
        " restored copy is known; anchor.jsonl in the data directory. Best on another machine's"
        " disk.",
    )
    anchor_minutes: float = Field(
        default=60, gt=0, le=1_440, description="How often `serve` writes into that file."
    )
    migrate: bool = Field(
        default=True, description="Whether a start brings an older database up to date by itself."
    )
    timezone: ZoneName = Field(
        default="UTC", description="The time zone of business dates, such as Europe/Berlin."
    )
    currency: CurrencyCode = Field(
        default="USD", description="The currency of amounts that name none (ISO 4217)."
    )

    # The API.
    host: str = Field(
        default="127.0.0.1",
        description="The address that `serve` listens at; any but loopback needs an API key.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="The port that `serve` listens at; 0: any free."
    )
    project_name: str = Field(default="Tallybook", description="The title over the API's pages.")
    api_v1_prefix: ApiPrefix = Field(
        default="/api/v1", description="What stands before every call's path."
    )
    docs_page: bool = Field(
        default=True, description="Whether the page at /docs and the OpenAPI document are served."
    )
    rate_limit: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="How many calls a second one client may make, with whatever keys (without any:"
        " one address); 0: as many as it likes.",
    )
    body_limit: int = Field(
        default=65_536,
        ge=1_024,
        le=64 * 1024 * 1024,
        description="How large a body may be, in bytes, where a call has no limit of its own.",
    )

    # The Processor.
    processor_url: ProcessorUrl | None = Field(
        default=None,
        description="The Processor's address. Without one a simulator stands in, and no money"
        " moves. Only this machine's own addresses are taken unless the live settings are made.",
    )
    processor_live: bool = Field(
        default=False,
        description="Whether the Processor moves real money. A live one needs three settings more:"
        f" {PREFIX}PROCESSOR_URL, {PREFIX}LIVE_CONFIRMATION and {PREFIX}HOUSE_ACCOUNT.",
    )
    live_confirmation: str | None = Field(
        default=None,
        description=f"Must say '{LIVE_CONFIRMATION}' for a live Processor, beside its address and"
        " the house's account, so that one wrong setting alone never moves any.",
    )
    processor_token: SecretStr | None = Field(
        default=None, description="What the Processor knows us by, sent as a bearer token."
    )
    house_account: SecretStr = Field(
        default=SecretStr(SIMULATED_HOUSE_ACCOUNT),
        min_length=4,
        max_length=34,
        description="The house's own bank account, which pays advances and takes debits.",
    )
    processor_timeout_seconds: float = Field(
        default=30,
        gt=0,
        le=300,
        allow_inf_nan=False,
        description="How long one call to the Processor may take in all.",
    )
    sending_stopped: bool = Field(
        default=False,
        description="Whether this process sends nothing to the Processor, whatever the book says.",
    )
    cap_debit: str | None = Field(
        default=None,
        description="The largest single debit, in major units; what is larger waits for a person.",
    )
    cap_account_day: str | None = Field(
        default=None,
        description="The most that one bank account may be debited on one date, in major units.",
    )
    cap_run: str | None = Field(
        default=None,
        description="The most that the debits of one date may come to, in major units; the rest"
        " stays due.",
    )
    simulator_seed: int = Field(
        default=1,
        ge=0,
        description="What the simulator draws its results from; same seed, same results.",
    )
    simulator_faults: str = Field(
        default="",
        description="What goes wrong at the simulator, such as fail=0.1,lost_after=0.01.",
    )

    # Advances.
    advance_min: str | None = Field(
        default=None, description="The smallest advance, in major units."
    )
    advance_max: str | None = Field(
        default=None, description="The largest advance, in major units."
    )
    on_failed_debit: Literal["end_of_plan", "next_due_date"] = Field(
        default="end_of_plan",
        description="Where a failed debit moves: end_of_plan or next_due_date.",
    )
    max_attempts: int = Field(
        default=0,
        ge=0,
        description="How often a debit is tried before the advance is in default; 0: without end.",
    )
    hold_days: int = Field(
        default=30, ge=0, description="How many covered days a timed-out debit stays held."
    )

    # Loans.
    payment_policy: Literal["exact", "flexible"] = Field(
        default="exact",
        description="What a payment on a loan may be: exact (one row) or flexible (any amount).",
    )
    delinquent_after: int = Field(
        default=2,
        ge=1,
        description="How many consecutive missed installments make a loan delinquent.",
    )

    # The counter.
    cash_rounding: CashRounding = Field(
        default="none",
        description="How a sale is rounded to what cash can pay: none, floor_to_unit, or nearest_5"
        " for the nearest five minor units.",
    )
    invoice_mail: bool = Field(
        default=True, description="Whether `serve` mails an invoice to whoever left an address."
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="The mail server: smtp://user:password@host:587 (with STARTTLS) or smtps://."
        " A password goes only under TLS, and where the server's certificate is trusted here."
        " Without one, mail goes into the folder `spool` of the data directory.",
    )
    mail_from: str = Field(
        default="counter@localhost", max_length=254, description="Who invoices come from."
    )

    # The daily run.
    run_enabled: bool = Field(
        default=True, description="Whether `serve` starts the daily run by itself."
    )
    run_hour: int = Field(
        default=6, ge=0, le=23, description="The hour of the daily run, in the business time zone."
    )

    # The machine.
    writer_process: bool = Field(default=True, description="Write in a process of its own (Linux).")
    pool_size: int = Field(
        default=10, ge=1, le=500, description="Reading connections kept to PostgreSQL."
    )
    pool_overflow: int = Field(
        default=10, ge=0, le=500, description="Further reading connections to PostgreSQL at peaks."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="The least serious log lines to write: DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="How log lines look; auto: text on a terminal, else JSON."
    )

    @property
    def version(self) -> str:
        """Tell which version is installed. It is shown, never set."""
        from importlib.metadata import version  # noqa: PLC0415 - only a page or two ask for it

        return version("tallybook")

    @property
    def is_live(self) -> bool:
        """Tell whether real money moves. All four settings agree, or this object would not be."""
        return self.processor_live

    @property
    def spool(self) -> Path:
        """Tell the folder that mail goes into where no mail server is set."""
        return self.home / "spool"

    @property
    def key_path(self) -> Path:
        """Tell where the sealing key is, or will be made."""
        return self.key_file or self.home / "master.key"

    @property
    def anchor_path(self) -> Path:
        """Tell where the chains' heads are written."""
        return self.anchor_file or self.home / "anchor.jsonl"

    @property
    def simulator_log(self) -> Path:
        """Tell where the simulator inside a program keeps what really happened."""
        return self.home / "simulator.db"

    @property
    def processor_log(self) -> Path:
        """Tell where `tallybook processor` does: it is another bank than the simulator inside."""
        return self.home / "processor.db"

    @model_validator(mode="after")
    def check_together(self) -> Settings:
        """Check what only shows when settings are seen together."""
        problems = [*_live_problems(self), *_bound_problems(self)]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read our names from the environment, `.env` and named files, in one place."""
        del file_secret_settings
        assert isinstance(env_settings, EnvSettingsSource)
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        return init_settings, Surroundings(settings_cls, env_settings, dotenv_settings)


def _live_problems(settings: Settings) -> list[str]:
    problems: list[str] = []
    url = settings.processor_url
    host = urlsplit(url).hostname or "" if url else ""
    if not settings.processor_live:
        if url and not is_loopback(host):
            problems.append(
                f"{PREFIX}PROCESSOR_URL names another machine, which may move real money. If it is"
                f" meant to, set {PREFIX}PROCESSOR_LIVE=true and"
                f" {PREFIX}LIVE_CONFIRMATION='{LIVE_CONFIRMATION}' as well."
            )
        return problems
    if url is None:
        problems.append(
            f"{PREFIX}PROCESSOR_LIVE=true needs a Processor: set {PREFIX}PROCESSOR_URL."
        )
    elif not is_loopback(host) and not url.startswith("https:"):
        problems.append(f"{PREFIX}PROCESSOR_URL must be an https address when money is real.")
    if settings.live_confirmation != LIVE_CONFIRMATION:
        problems.append(
            f"{PREFIX}PROCESSOR_LIVE=true moves real money and needs a second setting to say so:"
            f" {PREFIX}LIVE_CONFIRMATION='{LIVE_CONFIRMATION}'."
        )
    if settings.house_account.get_secret_value() == SIMULATED_HOUSE_ACCOUNT:
        problems.append(
            f"{PREFIX}HOUSE_ACCOUNT must name the house's own account when money is real."
        )
    return problems


def _bound_problems(settings: Settings) -> list[str]:
    bounds: dict[str, int] = {}
    problems: list[str] = []
    for name in ("advance_min", "advance_max", "cap_debit", "cap_account_day", "cap_run"):
        text = getattr(settings, name)
        try:
            if text is not None:
                bounds[name] = parse_positive_amount(text, settings.currency)
        except Refused:
            problems.append(
                f"{env_name(name)} must be an amount above zero in {settings.currency},"
                " such as 100.00 (without decimals where the currency has none)."
            )
    if bounds.get("advance_min", 0) > bounds.get("advance_max", MINOR_MAX):
        problems.append(f"{PREFIX}ADVANCE_MIN must not be more than {PREFIX}ADVANCE_MAX.")
    return problems


def surroundings() -> Surroundings:
    """Look around: the environment and `.env` as they are now."""
    return Surroundings(Settings, EnvSettingsSource(Settings), DotEnvSettingsSource(Settings))


def load_settings(**given: object) -> Settings:
    """Read and check all settings; what is given here, and is not None, wins over the rest.

    A `database_url` may be given as a path. Raises: SettingsError.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(database := given.get("database_url"), str | Path) and "://" not in str(database):
        given["database_url"] = sqlite_url(database)
    try:
        around = surroundings()
    except UnicodeDecodeError:
        raise SettingsError(["The file .env is not text in UTF-8."]) from None
    problems = [misspelt(variable, Settings.model_fields) for variable in around.unknown()]
    try:
        settings = Settings(**given)  # pyright: ignore[reportArgumentType] - pydantic checks them
    except ValidationError as error:
        origins = {
            name: origin for name, (_, origin) in around.found().items() if name not in given
        }
        for detail in error.errors(include_url=False, include_input=False):
            problems += sentences(detail, origins)
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return settings
