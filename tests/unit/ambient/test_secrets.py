"""The key is made once, kept to itself, and opens only what it sealed for the same place."""

import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.ambient.secrets import KEY_BYTES, Secrets, SecretsError

KEY = bytes(range(32))
SECRETS = Secrets(KEY)


@given(st.text(), st.text())
def test_what_is_sealed_opens_in_its_place_and_looks_new_each_time(text: str, place: str) -> None:
    text, place = (part.encode("utf-8", "ignore").decode() for part in (text, place))
    sealed = SECRETS.seal(text, context=place)
    assert SECRETS.unseal(sealed, context=place) == text
    assert SECRETS.seal(text, context=place) != sealed
    assert len(text) < 4 or text.encode() not in sealed


@given(st.binary(max_size=300))
def test_files_are_sealed_as_they_are(content: bytes) -> None:
    sealed = SECRETS.seal_bytes(content, context="report")
    assert SECRETS.unseal_bytes(sealed, context="report") == content


def test_nothing_opens_elsewhere_or_changed_or_with_another_key() -> None:
    sealed = SECRETS.seal("DE89370400440532013000", context="a:1")
    with pytest.raises(SecretsError):
        SECRETS.unseal(sealed, context="a:2")
    with pytest.raises(SecretsError):
        Secrets(KEY[::-1]).unseal(sealed, context="a:1")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SecretsError):
            SECRETS.unseal(bytes(changed), context="a:1")
    for length in range(len(sealed)):
        with pytest.raises(SecretsError):
            SECRETS.unseal(sealed[:length], context="a:1")


def test_a_failure_quotes_nothing() -> None:
    sealed = SECRETS.seal("DE89370400440532013000", context="a:1")
    with pytest.raises(SecretsError) as caught:
        SECRETS.unseal(sealed, context="a:2")
    assert "DE89" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_number_is_found_by_its_hash_under_this_key_only() -> None:
    assert SECRETS.keyed_hash("12345678") == Secrets(KEY).keyed_hash("12345678")
    assert SECRETS.keyed_hash("12345678") != SECRETS.keyed_hash("12345679")
    assert SECRETS.keyed_hash("12345678") != Secrets(KEY[::-1]).keyed_hash("12345678")
    assert len(SECRETS.keyed_hash("")) == 64


def test_the_forms_on_disk_never_change() -> None:
    """Or what old versions sealed and hashed would be lost."""
    assert SECRETS.keyed_hash("DE89370400440532013000") == (
        "463f053eaa8675a6d7d81a8ede5dcd2ce753b3fe2f78a95417107d7a5ad87770"
    )
    sealed = bytes.fromhex(
        "019f1e57782f349e358bc77cdf1fc64075af323d533c4976d3953630a685352d"
        "425363144713b07fa8b197ce975a5c400921f9"
    )
    assert SECRETS.unseal(sealed, context="bank_accounts.number:1") == "DE89370400440532013000"


def test_the_key_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys" / "master.key"
    first = Secrets.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_size == KEY_BYTES
    assert [item.name for item in path.parent.iterdir()] == ["master.key"]
    again = Secrets.load_or_create(path)
    assert again.unseal(first.seal("x", context="c"), context="c") == "x"
    assert path.read_bytes().hex() not in repr(first) + str(vars(first))
    assert repr(first) == "Secrets(****)"


def _race(path: Path, barrier: Any, found: Any) -> None:
    barrier.wait(30)
    found.put(Secrets.load_or_create(path).keyed_hash("x"))


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(4), context.Queue()
    for round_number in range(3):
        path = tmp_path / str(round_number) / "master.key"
        racers = [context.Process(target=_race, args=(path, barrier, found)) for _ in range(4)]
        for racer in racers:
            racer.start()
        hashes = {found.get(timeout=60) for _ in racers}
        for racer in racers:
            racer.join()
        assert hashes == {Secrets.load_or_create(path).keyed_hash("x")}
        assert [item.name for item in path.parent.iterdir()] == ["master.key"]


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33, b"ab" * 32])
def test_a_file_that_is_no_key_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    with pytest.raises(SecretsError, match=f"has {len(content)} bytes, not 32"):
        Secrets.load_or_create(path)
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="can't be read"):
        Secrets.load_or_create(tmp_path)  # a folder
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SecretsError, match="can't be read"):
        Secrets.load_or_create(tmp_path / "file" / "master.key")
