"""A mail server for the tests: real SMTP on a real socket, with moods of its own.

Whom it refuses, what it forgets and when it falls silent is up to the test; what it has taken is
in `taken`, as it would be on a disk.
"""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """What the server has taken, and how it feels. Moods may be changed while it runs."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list[EmailMessage])
    greeted: int = 0
    """How many connections came."""
    unknown: set[str] = field(default_factory=set[str])
    """Addresses that it says it does not know (550)."""
    greylisted: set[str] = field(default_factory=set[str])
    """Addresses that it turns away once, to be tried again (450)."""
    forgets_to_answer: int = 0
    """So many mails it takes, and then hangs up before it says so."""
    hangs: threading.Event = field(default_factory=threading.Event)
    """While set, it takes a connection and says nothing."""
    wakes: threading.Event = field(default_factory=threading.Event)
    """Ends the silence of those who hang."""
    tls: ssl.SSLContext | None = None
    """What it encrypts with: it offers STARTTLS, and takes logins only after it."""
    tls_from_the_start: bool = False
    """It speaks nothing but TLS, as behind `smtps://`."""
    logins_in_clear: bool = False
    """It takes logins without TLS as well."""
    farewell: str = "221 bye"
    """What it says to QUIT."""
    heard_in_clear: list[str] = field(default_factory=list[str])
    """What anybody on the way could read."""
    logins: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        """Tell to whom what it has taken goes, in order."""
        return [str(message["To"]) for message in self.taken]


class _Session(socketserver.StreamRequestHandler):
    @property
    def _mail(self) -> MailServer:
        assert isinstance(self.server, _Server)
        return self.server.mail

    def handle(self) -> None:
        mail = self._mail
        mail.greeted += 1
        self._is_safe = False
        with suppress(OSError):
            if mail.tls_from_the_start:
                self._encrypt()
            if mail.hangs.is_set():
                mail.wakes.wait(60)
                return
            self._say("220 a server for tests")
            while line := self.rfile.readline():
                if not self._obey(line.decode().strip()):
                    return

    def _encrypt(self) -> None:
        assert self._mail.tls is not None
        self.connection = self._mail.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self._is_safe = True

    def finish(self) -> None:
        super().finish()
        # The server closes what it accepted, and knows nothing of what was put around it.
        self.connection.close()

    def _greet(self) -> bool:
        offers = ["250-a server for tests"]
        if self._mail.tls is not None and not self._is_safe:
            offers.append("250-STARTTLS")
        if self._is_safe or self._mail.logins_in_clear:
            offers.append("250-AUTH PLAIN")
        return self._say("\r\n".join([*offers, "250 8BITMIME"]))

    def _obey(self, line: str) -> bool:
        mail = self._mail
        if not self._is_safe:
            mail.heard_in_clear.append(line)
        verb = line[:4].upper()
        if verb == "EHLO":
            return self._greet()
        if verb == "STAR" and mail.tls is not None:
            self._say("220 go on")
            self._encrypt()
            return True
        if verb == "AUTH":
            mail.logins.append(line)
            return self._say("235 welcome")
        if verb == "RCPT":
            address = line.partition("<")[2].partition(">")[0]
            if address in mail.unknown:
                return self._say("550 no such mailbox")
            if address in mail.greylisted:
                mail.greylisted.discard(address)
                return self._say("450 try again later")
        elif verb == "DATA":
            self._say("354 go on")
            mail.taken.append(self._read_message())
            if mail.forgets_to_answer:
                mail.forgets_to_answer -= 1
                return False
        elif verb == "QUIT":
            self._say(mail.farewell)
            return False
        return self._say("250 ok")

    def _read_message(self) -> EmailMessage:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    def _say(self, text: str) -> bool:
        self.wfile.write(text.encode() + b"\r\n")
        return True


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, mail: MailServer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.mail = mail


@contextmanager
def mail_server(mail: MailServer | None = None) -> Generator[MailServer]:
    """Run a mail server; one that ran before comes back on its port, with what it had taken."""
    mail = mail or MailServer()
    with _Server(mail, mail.port) as server:
        mail.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield mail
        finally:
            mail.wakes.set()
            server.shutdown()
            thread.join()
