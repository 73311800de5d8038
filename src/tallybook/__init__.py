"""Tallybook: one book for every kind of bill."""

from typing import TYPE_CHECKING, Any

__all__ = ["Refused", "SettingsError", "Tallybook", "__version__", "open"]

if TYPE_CHECKING:
    from tallybook.ambient.surroundings import SettingsError
    from tallybook.entrypoints.library import Tallybook
    from tallybook.entrypoints.library import open_book as open  # noqa: A004 - `tallybook.open`
    from tallybook.kernel.refusal import Refused

    __version__: str

_PLACES = {
    "Refused": ("tallybook.kernel.refusal", "Refused"),
    "SettingsError": ("tallybook.ambient.surroundings", "SettingsError"),
    "Tallybook": ("tallybook.entrypoints.library", "Tallybook"),
    "open": ("tallybook.entrypoints.library", "open_book"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class, a function or a text
    """Load what the package offers only when somebody asks.

    The whole engine, and even looking up the version, costs more than `--help` may take.
    """
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - paid only on demand, as said above

        return version("tallybook")
    if name in _PLACES:
        from importlib import import_module  # noqa: PLC0415 - see above

        module, attribute = _PLACES[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
