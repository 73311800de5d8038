"""Where settings are found: the environment, `.env`, and files that either of them names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
)

PREFIX = "TALLYBOOK_"

_BARE = {"database_url": "DATABASE_URL", "project_name": "PROJECT_NAME",
         "api_v1_prefix": "API_V1_PREFIX"}  # fmt: skip
# Not settings: a switch for developers, names for the tests, and what Kubernetes adds for a
# service that happens to be called tallybook.
_NOT_OURS = re.compile(r"tallybook_(debug$|test_|service_|port_)")
_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://")
"""So begins what Kubernetes puts into TALLYBOOK_PORT for such a service; no port does."""
_IN_OUR_WORDS = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
    "literal_error": "must be {expected}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} characters",
}
"""Pydantic's own texts are taken as they are: they may hold braces, which no context fills."""


class SettingsError(ValueError):
    """Some settings can't be used: one sentence per problem, none of which quotes a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class Surroundings(PydanticBaseSettingsSource):
    """Finds settings around the program: environment first, then `.env`, under their names."""

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        environment: EnvSettingsSource,
        dotenv: DotEnvSettingsSource,
    ) -> None:
        super().__init__(settings_cls)
        self._places = (("environment", environment.env_vars), (".env", dotenv.env_vars))

    def __call__(self) -> dict[str, Any]:
        """Give every setting that was found, by its field's name."""
        return {name: value for name, (value, _) in self.found().items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Give one setting, as the base class asks for it."""
        del field
        value, _ = self.found().get(field_name, (None, ""))
        return value, field_name, False

    def found(self) -> dict[str, tuple[str, str]]:
        """Find every setting: its value, and where that came from. Raises: SettingsError."""
        found: dict[str, tuple[str, str]] = {}
        for name in self.settings_cls.model_fields:
            for place, variables in self._places:
                for variable in env_names(name):
                    if name in found:
                        break
                    value = variables.get(variable.lower())
                    if name == "port" and value is not None and _OF_A_SERVICE.match(value):
                        continue
                    if value is not None:
                        found[name] = value, f"{variable}, {place}"
                    elif (path := variables.get(f"{variable}_FILE".lower())) is not None:
                        found[name] = _read_file(path, variable), f"{variable}_FILE, {place}"
        return found

    def unknown(self) -> list[str]:
        """List variables that look like settings of ours and are none: most are misspelt."""
        known = {
            f"{variable}{ending}".lower()
            for name in self.settings_cls.model_fields
            for variable in env_names(name)
            for ending in ("", "_FILE")
        }
        return sorted(
            {
                variable.upper()
                for _, variables in self._places
                for variable in variables
                if variable.startswith(PREFIX.lower())
                if variable not in known and not _NOT_OURS.match(variable)
            }
        )


def env_name(name: str) -> str:
    """Tell the environment variable that people know a setting by.

    >>> env_name("port"), env_name("database_url")
    ('TALLYBOOK_PORT', 'DATABASE_URL')
    """
    return _BARE.get(name, f"{PREFIX}{name.upper()}")


def env_names(name: str) -> list[str]:
    """List the variables that set a setting, the stronger one first."""
    return [f"{PREFIX}{name.upper()}", *([_BARE[name]] if name in _BARE else [])]


def misspelt(variable: str, fields: Iterable[str]) -> str:
    """Say that a variable is no setting, and which one it may stand for."""
    known = [variable for name in fields for variable in env_names(name)]
    near = get_close_matches(variable, known, n=1)
    hint = f" Is {near[0]} meant?" if near else " `tallybook settings` lists those there are."
    return f"{variable} is not a setting.{hint}"


def sentences(detail: Mapping[str, Any], origins: Mapping[str, str]) -> list[str]:
    """Say in words of ours what pydantic found wrong. The value is never quoted.

    Origins tell where each setting was found; one that has none was given in code.
    """
    context = detail.get("ctx") or {}
    text = str(context.get("error") or detail["msg"])
    if not detail["loc"]:
        return text.splitlines()
    if detail["type"] == "default_factory_not_called":
        return []  # what it is derived from was refused, and that has been said
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return [f"'{name}' is not a setting. `tallybook settings` lists those there are."]
    if (ours := _IN_OUR_WORDS.get(detail["type"])) is not None:
        text = ours.format_map(context)
    variable, _, place = origins.get(name, name).partition(", ")
    return [f"{variable}{f' (in {place})' if place == '.env' else ''} {text}."]


def _read_file(path: str, variable: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError([f"{variable}_FILE names a file that can't be read: {why}."]) from None
