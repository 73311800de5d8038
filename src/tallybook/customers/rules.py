"""What a customer's name, e-mail address and bank account number may be. Source: C1."""

from __future__ import annotations

import re
import unicodedata

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.kernel.text import has_unseen, is_one_line, is_seen

NAME_LONGEST = 200
EMAIL_LONGEST = 254
"""RFC 5321 lets a path have 256 characters, two of them brackets."""
NUMBER_SHORTEST, NUMBER_LONGEST = 4, 34
"""An IBAN has at most 34 characters. Below four, the last four digits would be the number."""
BANK_ACCOUNTS_MOST = 100
"""How many accounts one call may bring."""

_NUMBER = re.compile(rf"[A-Z0-9]{{{NUMBER_SHORTEST},{NUMBER_LONGEST}}}\Z", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")
_NEVER_IN_NEW_EMAIL = frozenset('()<>[]:;,\\"')
"""Signs that a mail's header has other uses for: with them it names nobody, or two. Source: R10."""


def normalise_number(number: str) -> str:
    """Write a bank account number the one way in which numbers are compared.

    Without spaces and hyphens, upper-cased, zeros kept. Source: C1.
    Raises: Refused `bank_account_invalid`; the refusal does not repeat the number.

    >>> normalise_number("de89 3704-0044 0532 0130 00"), normalise_number("000123456")
    ('DE89370400440532013000', '000123456')
    """
    # Bounded before it is worked on, and upper-cased only as ASCII: `ß` would become `SS`.
    bounded = number if len(number) <= 4 * NUMBER_LONGEST and number.isascii() else ""
    plain = bounded.replace(" ", "").replace("-", "").upper()
    if not _NUMBER.match(plain):
        raise Refused(Refusal("bank_account_invalid", param="number"))
    return plain


def last_four(number: str) -> str:
    """Give what people are shown of a normalised number."""
    return number[-4:]


def clean_email(email: str) -> str:
    """Trim an e-mail address and see that it looks like one; only mail tells whether it is.

    Raises: Refused `email_invalid`; also for what no mail can be sent to, such as `a,b@c.org`, or
    with characters that nobody sees. A book may hold such addresses from before.

    >>> clean_email("  Asha@Example.org ")
    'Asha@Example.org'
    """
    trimmed = _read_email(email)
    # `=?` begins a word that a mail's reader decodes.
    if not _NEVER_IN_NEW_EMAIL.isdisjoint(trimmed) or "=?" in trimmed or has_unseen(trimmed):
        raise Refused(Refusal("email_invalid", param="email"))
    return trimmed


def fold_email(email: str) -> str:
    """Write an e-mail address the one way in which addresses are compared. Source: C1.

    It takes any address that a book may hold, so that whoever has an odd one is still found.
    Raises: Refused `email_invalid`.

    >>> fold_email("  Asha@Example.org ") == fold_email("asha@EXAMPLE.org")
    True
    """
    return _fold(_read_email(email))


def clean_name(name: str) -> str:
    """Trim a name of any script and bring it to one form of the same characters (NFC).

    Raises: Refused `name_invalid`: nothing to see, longer than 200 characters, or with control
        characters.

    >>> clean_name("  आशा देवी ")
    'आशा देवी'
    """
    trimmed = unicodedata.normalize("NFC", name.strip()) if len(name) <= 4 * NAME_LONGEST else ""
    if len(trimmed) > NAME_LONGEST or not is_one_line(trimmed) or not is_seen(trimmed):
        raise Refused(Refusal("name_invalid", param="name"))
    return trimmed


def _read_email(email: str) -> str:
    trimmed = unicodedata.normalize("NFC", email.strip()) if len(email) <= 4 * EMAIL_LONGEST else ""
    if not _EMAIL.match(trimmed) or not is_one_line(trimmed):
        raise Refused(Refusal("email_invalid", param="email"))
    if len(trimmed) > EMAIL_LONGEST or len(_fold(trimmed)) > EMAIL_LONGEST:
        raise Refused(Refusal("email_invalid", param="email"))
    return trimmed


def _fold(email: str) -> str:
    return unicodedata.normalize("NFC", email.casefold())
