"""Secrets: the installation's one key, and the three things that are done with it."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


class SecretsError(RuntimeError):
    """The key file can't be used, or a sealed value was not sealed with this key for this place."""


class Secrets:
    """Seals and finds what must not be readable at rest: bank account numbers and raw reports.

    One master key lives in a file outside the database. Sealing and finding each have a key of
    their own, derived from it, so that what one of them gives away does not help with the other.
    """

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise SecretsError(f"the key has {len(master_key)} bytes, not {KEY_BYTES}")
        self._cipher = AESGCM(_derive(master_key, b"tallybook seal"))
        self.check_value = _derive(master_key, b"tallybook key check").hex()
        """Tells whether two keys are the same, and nothing about the key. Units: 64 hex digits."""
        self._keyed = hmac.new(_derive(master_key, b"tallybook keyed hash"), digestmod="sha256")

    def __repr__(self) -> str:
        return "Secrets(****)"

    @classmethod
    def load_or_create(cls, path: Path) -> Secrets:
        """Read the key file, making it on the first run.

        The file is complete before it has its name, so that of two processes starting at once one
        makes it and both read it. Raises: SecretsError where it can't be read or is not a key.
        """
        try:
            if not path.exists():
                _create(path)
            key = path.read_bytes()
        except OSError as error:
            raise SecretsError(f"the key file {path} can't be read: {error.strerror}") from error
        if len(key) != KEY_BYTES:
            raise SecretsError(
                f"the key file {path} has {len(key)} bytes, not {KEY_BYTES}: restore it from a"
                " backup. A new key can't open what the old one sealed."
            )
        return cls(key)

    def seal(self, text: str, *, context: str) -> bytes:
        """Encrypt a text for one place, such as `bank_accounts.number:<id>`.

        Sealing the same text twice gives different bytes; only the same context opens them.
        """
        return self.seal_bytes(text.encode(), context=context)

    def unseal(self, sealed: bytes, *, context: str) -> str:
        """Decrypt what `seal` gave. Raises: SecretsError."""
        return self.unseal_bytes(sealed, context=context).decode()

    def seal_bytes(self, content: bytes, *, context: str) -> bytes:
        """Encrypt bytes, such as a whole report file, for one place."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, content, context.encode())

    def unseal_bytes(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt what `seal_bytes` gave. Raises: SecretsError."""
        start = len(_VERSION) + _NONCE_BYTES
        if sealed[: len(_VERSION)] != _VERSION or len(sealed) < start:
            raise SecretsError("a sealed value is not in a form that this version knows")
        nonce = sealed[len(_VERSION) : start]
        try:
            return self._cipher.decrypt(nonce, sealed[start:], context.encode())
        except InvalidTag:
            # From None: the frames between here and the cipher hold what must not be logged.
            raise SecretsError(
                "a sealed value was made with another key, for another place, or was changed"
            ) from None

    def keyed_hash(self, text: str) -> str:
        """Hash a text so that it can be found, but not guessed by whoever has only the database.

        A plain hash of an account number is undone in minutes: there are too few numbers.

        Returns: 64 hex digits, the same for the same text and key.
        """
        # Copied: to begin with the key each time costs as much again as the hash.
        hashed = self._keyed.copy()
        hashed.update(text.encode())
        return hashed.hexdigest()


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(master_key)


def _create(path: Path) -> None:
    """Make the key file, or leave the one that another process has just made."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            # A key that seals something and is gone after a power cut would lose what it sealed.
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
