"""One invoice as a mail, and its two ways out: a folder, or a mail server. Source: R10."""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from urllib.parse import unquote, urlsplit

import idna

from tallybook.retail.model import Purchase, PurchaseItem
from tallybook.retail.views.receipts import receipt_html, receipt_text

TIMEOUT_SECONDS = 20

Send = Callable[[EmailMessage], None]
"""Sends one mail. Raises: OSError, smtplib.SMTPException."""


def write_invoice(
    purchase: Purchase, items: Sequence[PurchaseItem], sender: str, shop: str
) -> EmailMessage:
    """Write the invoice of a purchase as a mail, in text and HTML.

    Raises: any Exception where the address is one that no header can hold.
    """
    message = EmailMessage()
    message["From"] = sender
    # One recipient, whatever signs are in the address.
    name, _, domain = (purchase.customer_email or "").rpartition("@")
    message["To"] = Address(username=name, domain=_known_to_servers(domain))
    message["Subject"] = f"{shop}: receipt {purchase.number}"
    message["Date"] = purchase.recorded_at
    message["Message-ID"] = f"<{purchase.subject_id}@tallybook.invalid>"
    message["X-Receipt-Number"] = str(purchase.number)
    message.set_content(receipt_text(purchase, items))
    message.add_alternative(receipt_html(purchase, items), subtype="html")
    return message


def _known_to_servers(domain: str) -> str:
    """Write a domain of any script in the letters that every mail server knows, if it has them.

    >>> _known_to_servers("bücher.de")
    'xn--bcher-kva.de'
    """
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain


def send_to_spool(folder: Path) -> Send:
    """Make a sender that writes each mail into a folder, a file for each sale.

    A receipt's number is not enough to name it: a book that is brought back gives it again.
    """

    def send(message: EmailMessage) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        subject_id = message["Message-ID"].strip("<>").partition("@")[0]
        name = f"invoice-{message['X-Receipt-Number']}-{subject_id}.eml"
        draft = folder / f".{name}"
        with draft.open("wb") as stream:
            # An address can't be written in encoded words, as other parts of a header can.
            is_plain = str(message["To"]).isascii()
            stream.write(message.as_bytes(policy=SMTP if is_plain else SMTPUTF8))
            stream.flush()
            # What is noted as sent must be there after a crash of the machine as well.
            os.fsync(stream.fileno())
        draft.replace(folder / name)
        _sync_folder(folder)

    return send


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class PasswordInClear(smtplib.SMTPException):
    """The server takes the password only where anybody on the way could read it."""


def send_by_smtp(url: str) -> Send:
    """Make a sender that hands each mail to a server: `smtp://` with STARTTLS, or `smtps://`.

    A password goes only to a server whose certificate this machine trusts. Without one, and with
    `smtp://`, any encryption is taken: whoever could show a false certificate could offer none.
    """
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "localhost", parts.scheme == "smtps"
    tls = ssl.create_default_context()
    if not is_tls and not parts.username:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE

    def connect() -> smtplib.SMTP:
        if is_tls:
            return smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_SECONDS, context=tls)
        return smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT_SECONDS)

    def send(message: EmailMessage) -> None:
        with _until_done(connect()) as server:
            # What the server can do is known only once it was greeted.
            server.ehlo_or_helo_if_needed()
            is_safe = is_tls or server.has_extn("starttls")
            if not is_tls and is_safe:
                server.starttls(context=tls)
            if parts.username and not is_safe:
                raise PasswordInClear
            if parts.username:
                _log_in(server, unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)

    return send


@contextmanager
def _until_done(server: smtplib.SMTP) -> Generator[smtplib.SMTP]:
    """Take leave of a server. What it has taken it has, whatever it says then."""
    try:
        yield server
    finally:
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    """Log in. A server that knows no logins fails for all mails, not for this one."""
    try:
        server.login(user, password)
    except smtplib.SMTPNotSupportedError as error:
        raise smtplib.SMTPException(str(error)) from error
