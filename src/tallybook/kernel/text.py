"""Texts that people write, such as a reason: what may be in one, and how one is shown."""

from __future__ import annotations

import unicodedata

from tallybook.kernel.refusal import Refusal

TEXT_MAX = 500
"""How long a sentence that somebody gives may be. Units: characters."""

_CONTROL = frozenset({"Cc", "Cs"})
_BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LAYOUT = "\n\t\r"

_JOINERS = frozenset("\u200c\u200d")
"""Which Devanagari, Persian and emoji are written with."""
_SIGNS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
                   "\U000110bd\U000110cd")  # fmt: skip
"""Format characters that are seen: they stand around the digits after them. Source: Unicode,
Prepended_Concatenation_Mark."""
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and patterns that show nothing: Hangul fillers, Braille without a dot."""
_NEVER_SEEN = frozenset({"Cc", "Cf", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"})
"""What shows nothing by itself; a mark has nothing to stand on."""


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


def is_seen(text: str) -> bool:
    r"""Tell whether a text has anything to see, in whatever script; a text that is asked for must.

    >>> is_seen("आशा"), is_seen("\u202e \u200d")
    (True, False)
    """
    return any(
        character in _SIGNS
        or not (character in _BLANKS or unicodedata.category(character) in _NEVER_SEEN)
        for character in text
    )


def unfit_text(
    field: str, text: str, most: int = TEXT_MAX, *, lines: bool = True
) -> Refusal | None:
    """Say why a text can't be kept: it is empty, too long, unseen, or has control characters.

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
    elif not is_seen(text):
        problem = "it has nothing to see"
    else:
        return None
    return Refusal("field_invalid", field, {"field": field, "problem": problem})


def on_one_line(text: str) -> str:
    r"""Write a text for a terminal: on one line, and with nothing that the terminal would obey.

    What turns the direction of what follows, or hides in it, is taken out.

    >>> on_one_line("wrong\namounts\x1b[2J")
    'wrong amounts [2J'
    >>> on_one_line("paid \u202e00.1\u202c")
    'paid 00.1'
    """
    shown = (character for character in text if not _misleads(character))
    plain = "".join(" " if has_control(character, allowed="") else character for character in shown)
    return " ".join(plain.split())


def _misleads(character: str) -> bool:
    """Tell whether a character reorders or hides text; joiners and signs only shape it."""
    return (
        unicodedata.category(character) == "Cf"
        and character not in _JOINERS
        and character not in _SIGNS
    )
