"""`tallybook settings`: each setting, its value, where it came from, what it means."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from pydantic import SecretStr

from tallybook.ambient.setting_types import shown_url
from tallybook.ambient.settings import Settings, load_settings, surroundings
from tallybook.ambient.surroundings import env_name
from tallybook.kernel.frozen import frozen

_ENOUGH_TO_SHOW_FOUR = 9


@frozen
class Line:
    """One setting as a person sees it."""

    variable: str
    value: str
    """Secrets are masked; empty is not set."""
    origin: str
    """The variable and the place that set it, or `given`, or `default`."""
    meaning: str


def describe(settings: Settings) -> Iterator[Line]:
    """List every setting with its value, where that came from, and what it means."""
    found = surroundings().found()
    for name, field in type(settings).model_fields.items():
        if name not in settings.model_fields_set:
            origin = "default"
        else:
            origin = found[name][1] if name in found else "given"
        yield Line(env_name(name), _shown(name, settings), origin, field.description or "")


def _shown(name: str, settings: Settings) -> str:
    value = getattr(settings, name)
    if name == "database_url":
        return shown_url(value.get_secret_value())
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        is_long = name == "house_account" and len(text) >= _ENOUGH_TO_SHOW_FOUR
        return "****" + (text[-4:] if is_long else "")
    return "" if value is None else str(value)


def show_settings(**given: object) -> None:
    """Print every setting, a paragraph each."""
    for line in describe(load_settings(**given)):
        print(f"{line.variable}={line.value}")
        for text in wrap(f"{line.meaning} ({line.origin})", 92):
            print(f"    {text}")
