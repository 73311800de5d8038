"""`tallybook serve`: looks at the settings, takes the port, and hands over to the server."""

from __future__ import annotations

import gc
import socket

from tallybook.ambient.setting_types import is_loopback
from tallybook.ambient.settings import Settings, load_settings
from tallybook.ambient.surroundings import SettingsError
from tallybook.entrypoints.errors import CommandError

BACKLOG = 2048


def serve(**given: object) -> None:
    """Serve the API until told to stop."""
    settings = load_settings(**given)
    if not is_loopback(settings.host) and not _has_keys(settings):
        problem = (
            f"Without an API key only this machine is served: at {settings.host} anyone on the"
            " network could move money. Make a key with `tallybook keys create NAME --scope money`"
            " (and before it a book, with `tallybook db upgrade`), or use --host 127.0.0.1."
        )
        raise SettingsError([problem])
    with _listen(settings.host, settings.port) as listener:
        # What is loaded now stays. To look for garbage meanwhile costs a fifth of the start; the
        # server begins with it again once it is ready.
        gc.disable()
        # Loaded only now: whoever has made a mistake above need not wait for it.
        from tallybook.entrypoints.server import run

        run(settings, listener)


def _has_keys(settings: Settings) -> bool:
    from tallybook.access.tasks import has_keys
    from tallybook.db.engine import NoBookError, open_database

    url = settings.database_url.get_secret_value()
    try:
        database = open_database(url, read_only=True)
    except NoBookError:
        return False
    try:
        return has_keys(database)
    finally:
        database.close()


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else is begun. Raises: CommandError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CommandError(
            f"Port {port} on {host} can't be had ({error.strerror}). Stop the program that has it,"
            " or choose another with --port."
        ) from error
