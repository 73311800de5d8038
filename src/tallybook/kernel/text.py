"""Texts that people write, such as a reason: what may be in one, and how one is shown."""

from __future__ import annotations

import unicodedata

from tallybook.kernel.refusal import Refusal

TEXT_MAX = 500
"""How long a sentence that somebody gives may be. Units: characters."""

_CONTROL = frozenset({"Cc", "Cs"})
_BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LAYOUT = "\n\t\r"


def has_control(text: str, *, allowed: str = _LAYOUT) -> bool:
    """Tell whether control characters are in a text, which a terminal would obey."""
    return any(
        unicodedata.category(character) in _CONTROL and character not in allowed
        for character in text
    )


def is_one_line(text: str) -> bool:
    """Tell whether a text has no control characters, lone surrogates or separators of lines."""
    return not any(unicodedata.category(character) in _BREAKS for character in text)


def has_unseen(text: str) -> bool:
    """Tell whether a text has joiners or marks of direction, which nobody sees."""
    return any(unicodedata.category(character) == "Cf" for character in text)


def unfit_text(
    field: str, text: str, most: int = TEXT_MAX, *, lines: bool = True
) -> Refusal | None:
    """Say why a text can't be kept: it is empty, too long, or has control characters.

    `lines` tells whether it may have several.

    Returns: None where it can; else `field_invalid`, for operations to refuse with.

    >>> unfit_text("reason", "amounts look wrong") is None
    True
    >>> unfit_text("reason", "  ").sentence
    "The field 'reason' is not valid: it is empty."
    """
    if not text.strip():
        problem = "it is empty"
    elif len(text) > most:
        problem = f"it has more than {most} characters"
    elif has_control(text, allowed=_LAYOUT if lines else ""):
        problem = "it has control characters"
    else:
        return None
    return Refusal("field_invalid", field, {"field": field, "problem": problem})


def on_one_line(text: str) -> str:
    r"""Write a text for a terminal: on one line, and with nothing that the terminal would obey.

    >>> on_one_line("wrong\namounts\x1b[2J")
    'wrong amounts [2J'
    """
    plain = "".join(" " if has_control(character, allowed="") else character for character in text)
    return " ".join(plain.split())
