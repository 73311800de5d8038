"""Who is speaking and of whom: issuers by their sender headers, names and sites."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tallybook.bills.reading.patterns import PatternSet, compile_pattern
from tallybook.bills.reading.rulebook import Issuer
from tallybook.kernel.frozen import frozen

_BLANKS = re.compile(r"[\s.'-]+")
_SITE = compile_pattern(
    r"(?:https?://(?:www\.)?|\bwww\.)([a-z0-9.-]+\.[a-z]{2,})"
    r"|\b((?:[a-z0-9-]+\.)+(?:com|in|org|net|io|cc|me|ly|xyz|top|info|co|app|club|live|site))\b"
)


@frozen
class Named:
    """An issuer that a text names, and where. Units: byte offsets of the clean text."""

    issuer: Issuer
    start: int
    end: int


class Lexicon:
    """All issuers, found by header or by name in one pass over the text."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._by_sender = {code: issuer for issuer in issuers for code in issuer.senders}
        self._by_name: dict[str, Issuer] = {}
        for issuer in issuers:
            called = () if issuer.is_everyday_word else (issuer.name,)
            for name in (*called, *issuer.names):
                self._by_name.setdefault(_fold(name), issuer)
        self._sites = {site: issuer for issuer in issuers for site in issuer.sites}
        names = sorted(self._by_name)
        self._patterns = [compile_pattern(rf"\b{_name_pattern(name)}\b") for name in names]
        self._named = [self._by_name[name] for name in names]
        self._set = PatternSet(self._patterns)

    def by_sender(self, code: str | None) -> Issuer | None:
        """Find whose header it is; a header may carry more than the code, as in `SBICRDS`."""
        if code is None:
            return None
        found = self._by_sender.get(code)
        if found is None and len(code) > 5 and "." not in code:
            found = self._by_sender.get(code[:6]) or self._by_sender.get(code[:5])
        return found

    def named(self, content: bytes) -> list[Named]:
        """Find the issuers that a text names, in the order of the text.

        Of "Tata Power" and "Tata Power-DDL" in one place the longer is meant.
        """
        found: list[Named] = []
        for index in self._set.matching(content):
            issuer = self._named[index]
            found += [Named(issuer, *match.span()) for match in self._patterns[index].each(content)]
        if len(found) < 2:
            return found
        found.sort(key=lambda named: (named.start, -named.end))
        kept: list[Named] = []
        for named in found:
            if not kept or named.start >= kept[-1].end:
                kept.append(named)
        return kept

    def has_strange_link(self, content: bytes) -> bool:
        """Tell whether a text has a link to a site that none of the issuers is known by."""
        return any(self._of_site(site) is None for site in _sites(content))

    def by_site(self, content: bytes) -> Issuer | None:
        """Find whose site a text links to."""
        return next(
            (issuer for site in _sites(content) if (issuer := self._of_site(site)) is not None),
            None,
        )

    def _of_site(self, site: str) -> Issuer | None:
        parts = site.split(".")
        for index in range(len(parts) - 1):
            issuer = self._sites.get(".".join(parts[index:]))
            if issuer is not None:
                return issuer
        return None


def _sites(content: bytes) -> list[str]:
    return [(match.text(1) or match.text(2)).lower() for match in _SITE.each(content)]


def _fold(name: str) -> str:
    return _BLANKS.sub(" ", name).strip().lower()


def _name_pattern(name: str) -> str:
    return r"[\s.'-]*".join(re.escape(part) for part in _BLANKS.split(name) if part)


_BILLERS = ("biller",)


def choose_issuer(
    spoken_by: Issuer | None, named: Sequence[Named], *, is_payment_report: bool
) -> tuple[Issuer | None, Named | None]:
    """Choose who is owed: a biller who speaks, else the biller who is named, else who speaks.

    A wallet or bank that sends somebody else's bill is not the one who is owed; a debt collector
    that names a bank is. Source: B3.
    """
    if spoken_by is not None and spoken_by.role in _BILLERS and not is_payment_report:
        # "SBI Card" sends bills of "Paytm SBI Card" only under the wallet's header.
        for mention in named:
            if mention.issuer is spoken_by:
                return spoken_by, mention
        return spoken_by, None
    for mention in named:
        if mention.issuer.role in _BILLERS and mention.issuer is not spoken_by:
            return mention.issuer, mention
    if spoken_by is not None:
        return spoken_by, None
    return (named[0].issuer, named[0]) if named else (None, None)
