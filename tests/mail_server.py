"""A mail server for the tests: real SMTP on a real socket, with moods of its own.

Whom it refuses, what it forgets and when it falls silent is up to the test; what it has taken is
in `taken`, as it would be on a disk.
"""

from __future__ import annotations

import socketserver
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
        with suppress(OSError):
            if mail.hangs.is_set():
                mail.wakes.wait(60)
                return
            self._say("220 a server for tests")
            while line := self.rfile.readline():
                if not self._obey(line.decode().strip()):
                    return

    def _obey(self, line: str) -> bool:
        mail = self._mail
        verb = line[:4].upper()
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
            self._say("221 bye")
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
