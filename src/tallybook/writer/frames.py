"""Messages between two processes: one socket, and before each message its length."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

_LENGTH = struct.Struct("!Q")
_READ_BYTES = 1 << 17


class Frames:
    """One end of a socket. Reading and writing may be done by a thread each."""

    def __init__(self, end: socket.socket) -> None:
        """Take over an end, which may be one that blocks or one that does not."""
        self._end = end
        self._piece = memoryview(bytearray(_READ_BYTES))
        self._read = bytearray()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """Give the descriptor, to wait for it."""
        return self._end.fileno()

    def close(self) -> None:
        """Let go of it: the other side reads its end."""
        self._end.close()

    def send(self, message: bytes) -> None:
        """Send a message, however long that takes. Raises: OSError where the other side is gone."""
        self._end.sendall(_LENGTH.pack(len(message)) + message)

    def offer(self, message: bytes) -> None:
        """Send as much as can be sent at once, and keep the rest. Raises: OSError, as `send`."""
        self._unsent += _LENGTH.pack(len(message))
        self._unsent += message
        self.flush()

    def flush(self) -> None:
        """Send as much as can be sent at once of what was kept. Raises: OSError, as `send`."""
        with suppress(BlockingIOError):
            while self._unsent:
                sent = self._end.send(self._unsent, socket.MSG_DONTWAIT)
                del self._unsent[:sent]

    @property
    def has_unsent(self) -> bool:
        """Tell whether something was kept that could not be sent at once."""
        return bool(self._unsent)

    def receive(self, *, wait: bool) -> list[bytes]:
        """Give the messages that are here; at least one where it may wait.

        Raises: EOFError where the other side is gone; OSError.
        """
        messages: list[bytes] = []
        while True:
            flags = 0 if wait and not messages else socket.MSG_DONTWAIT
            try:
                size = self._end.recv_into(self._piece, 0, flags)
            except BlockingIOError:
                return messages
            if not size:
                if messages:
                    return messages  # its end is read again
                raise EOFError
            self._read += self._piece[:size]
            messages += self._whole_ones()
            if size < _READ_BYTES and (messages or not wait):
                return messages

    def _whole_ones(self) -> list[bytes]:
        messages: list[bytes] = []
        place, until = 0, len(self._read)
        while until - place >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._read, place)
            end = place + _LENGTH.size + length
            if end > until:
                break
            messages.append(bytes(memoryview(self._read)[place + _LENGTH.size : end]))
            place = end
        if place:
            del self._read[:place]
        return messages
