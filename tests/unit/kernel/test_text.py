"""What may be in a text, and how one is shown."""

import pytest

from tallybook.kernel.text import is_seen, on_one_line, unfit_text

ANY_SCRIPT = [
    "Asha Devi",
    "\u0906\u0936\u093e \u0926\u0947\u0935\u0940",  # Devanagari
    "\u0915\u094d\u200d\u0937",  # Devanagari with a joiner
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian with a non-joiner
    "\u05d0\u05d1",  # Hebrew
    "\u738b\u5c0f\u660e",  # Han
    "\uae40",  # Hangul
    "\u06dd\u0661",  # Arabic, a sign around a digit
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # an emoji of three
    "\u2764\ufe0f",  # an emoji by its selector
    "-",
]

UNSEEN = [
    "\u202e",  # from right to left
    "\u2066\u2069",  # isolates
    "\u200b\u2060\ufeff",  # spaces of no width
    "\u200d",
    "\u00ad",  # a soft hyphen
    "\u3164",  # a Hangul filler
    "\u2800",  # Braille without a dot
    "\ufe0f",  # a selector of nothing
    "\u0301",  # an accent on nothing
    "\U000e0041",  # a tag
    " \t\n",
    "",
]


@pytest.mark.parametrize("text", ANY_SCRIPT)
def test_texts_of_any_script_are_fit_and_shown_as_they_are(text: str) -> None:
    assert is_seen(text)
    assert unfit_text("reason", text) is None
    assert on_one_line(text) == text


@pytest.mark.parametrize("text", UNSEEN)
def test_a_text_has_something_to_see(text: str) -> None:
    assert not is_seen(text)
    refusal = unfit_text("reason", text)
    assert refusal is not None
    assert (refusal.code, refusal.param) == ("field_invalid", "reason")
    assert is_seen(f"{text}a")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb\nc", "a [2Jb c"),
        ("paid \u202e00.1\u202c now", "paid 00.1 now"),
        ("\u2066a\u2069 \u200eb\u200f \u061cc", "a b c"),
        ("sto\u00adp\u200bp\u2060ed\ufeff", "stopped"),
        ("a\U000e0041b", "ab"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
    ],
)
def test_a_terminal_is_shown_nothing_that_it_would_obey_or_hide(text: str, shown: str) -> None:
    assert on_one_line(text) == shown
