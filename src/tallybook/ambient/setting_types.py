"""What single settings may be, each with a sentence for whoever got one wrong."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, SecretStr

from tallybook.ambient.surroundings import PREFIX
from tallybook.kernel.money import currency_decimals
from tallybook.kernel.refusal import Refused

_SQLITE_URL = re.compile(r"sqlite(\+\w+)?:///(?P<path>[^?]+)")
_POSTGRES_URL = re.compile(r"postgres(ql)?(\+\w+)?://\S+")
_CASH_ROUNDING = re.compile(r"none|floor_to_unit|nearest_[1-9][0-9]{0,8}")
_PREFIX_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as Europe/Berlin") from None
    return name


def _currency(code: str) -> str:
    try:
        currency_decimals(code.upper())
    except Refused:
        raise ValueError("must be an ISO 4217 currency such as USD") from None
    return code.upper()


def _database_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if not (_SQLITE_URL.fullmatch(text.partition("?")[0]) or _POSTGRES_URL.fullmatch(text)):
        raise ValueError(
            "must be sqlite:///path/to/file.db or postgresql://user:password@host/name"
        )
    if (found := _SQLITE_URL.match(text)) and not is_file_path(unquote(found["path"])):
        raise ValueError("must name a file, not a folder, by a path that is text in UTF-8")
    try:
        urlsplit(text).port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        raise ValueError("must have a host and a port that can be ones") from None
    return url


def sqlite_url(path: str | Path) -> str:
    """Write the URL of an SQLite file; what would have a meaning in a URL is its name's here.

    >>> sqlite_url("shop.db"), sqlite_url("100%?.db")
    ('sqlite:///shop.db', 'sqlite:///100%25%3F.db')
    """
    return f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}"


def is_file_path(path: str) -> bool:
    r"""Tell whether a path can be a file's: it has a name, is text, and is no folder.

    >>> is_file_path("books/shop.db"), is_file_path("/"), is_file_path(""), is_file_path("a\udcff")
    (True, False, False, False)
    """
    try:
        path.encode()
        return "\0" not in path and bool(Path(path).name) and not Path(path).is_dir()
    except UnicodeEncodeError:
        return False
    except OSError:
        return True  # whoever opens it says what is wrong


def _cash_rounding(text: str) -> str:
    if not _CASH_ROUNDING.fullmatch(text):
        raise ValueError("must be none, floor_to_unit, or nearest_5 for any number above zero")
    return text


def _processor_url(url: str) -> str:
    problem = "must be an address such as https://processor.example or http://127.0.0.1:9100"
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port != 0
    except ValueError:
        raise ValueError(problem) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise ValueError(problem)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            f"must hold nothing but scheme, host, port and path; a token goes into"
            f" {PREFIX}PROCESSOR_TOKEN"
        )
    return url.rstrip("/")


def _api_prefix(path: str) -> str:
    if not _PREFIX_PATH.fullmatch(path):
        raise ValueError("must start with a slash and not end with one, such as /api/v1")
    return path


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only mean this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def default_home(database_url: str) -> Path:
    """Tell where keys and files live for a database: beside an embedded one, else in the user's.

    >>> default_home("sqlite:////srv/billing.db").as_posix()
    '/srv/billing-data'
    """
    if found := _SQLITE_URL.match(database_url):
        path = Path(unquote(found["path"])).absolute()
        return path.with_name(f"{path.stem}-data")
    share = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    name = re.sub(r"[^\w.-]", "_", urlsplit(database_url).path.strip("/")) or "book"
    return share / "tallybook" / name


def shown_url(url: str) -> str:
    """Write a database URL without its password, and without what else its query may hold.

    >>> shown_url("postgresql://bob:secret@db:5432/book?sslpassword=x")
    'postgresql://bob:****@db:5432/book'
    """
    plain = url.partition("?")[0]
    scheme, _, rest = plain.partition("://")
    user, at, place = rest.rpartition("@")
    if scheme.startswith("sqlite") or ":" not in user:
        return plain
    return f"{scheme}://{user.partition(':')[0]}:****{at}{place}"


ZoneName = Annotated[str, AfterValidator(_zone)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
ProcessorUrl = Annotated[str, AfterValidator(_processor_url)]
CashRounding = Annotated[str, AfterValidator(_cash_rounding)]
ApiPrefix = Annotated[str, AfterValidator(_api_prefix)]
