"""Messages over a socket: whole ones, in order, whatever the pieces in which they arrive."""

import random
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tallybook.writer.frames import Frames

Pair = tuple[Frames, Frames]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ends = socket.socketpair()
    frames = Frames(ends[0]), Frames(ends[1])
    yield frames
    for each in frames:
        each.close()


def collect(end: Frames, count: int) -> list[bytes]:
    messages: list[bytes] = []
    while len(messages) < count:
        messages += end.receive(wait=True)
    return messages


def test_messages_of_any_length_arrive_whole_and_in_order(pair: Pair) -> None:
    dice = random.Random(5)
    sizes = [0, 1, 7, 131_064, 131_072, 131_073, 3_000_000, *dice.choices(range(400_000), k=40)]
    sent = [dice.randbytes(size) for size in sizes]
    sending = threading.Thread(target=lambda: [pair[0].send(message) for message in sent])
    sending.start()
    assert collect(pair[1], len(sent)) == sent
    sending.join()


def test_what_arrives_in_pieces_is_given_once_it_is_whole() -> None:
    raw, end = socket.socketpair()
    frames = Frames(end)
    parts = [b"\0\0\0\0", b"\0\0\0", b"\5he", b"llo" + bytes(7) + b"\2y", b"o" + bytes(8)]
    given: list[list[bytes]] = []
    for part in parts:
        raw.sendall(part)
        given.append(frames.receive(wait=False))
    assert given == [[], [], [], [b"hello"], [b"yo", b""]]
    assert frames.receive(wait=False) == []
    raw.close()
    frames.close()


def test_an_offer_never_waits_and_what_is_left_is_sent_later(pair: Pair) -> None:
    sent = [bytes([number]) * 500_000 for number in range(6)]
    began = time.monotonic()
    for message in sent:
        pair[0].offer(message)
    assert time.monotonic() - began < 5, "nobody reads, and it waits for them"
    assert pair[0].has_unsent
    read: list[bytes] = []
    while len(read) < len(sent):
        read += pair[1].receive(wait=False)
        pair[0].flush()
    assert read == sent
    assert not pair[0].has_unsent


def test_the_end_is_told_after_all_that_came_before_it(pair: Pair) -> None:
    pair[0].send(b"last")
    pair[0].close()
    assert pair[1].receive(wait=True) == [b"last"]
    for wait in (True, False):
        with pytest.raises(EOFError):
            pair[1].receive(wait=wait)


def test_to_offer_to_nobody_is_told(pair: Pair) -> None:
    pair[1].close()
    with pytest.raises(OSError, match="Broken pipe"):
        pair[0].offer(b"anybody?")
