"""A record is a frozen dataclass in every respect, and quicker to make."""

import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from tallybook.kernel.records import record


@record
class Coin:
    value: int
    label: str = "a coin"
    marks: Mapping[str, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Plain:
    value: int
    label: str = "a coin"
    marks: Mapping[str, int] = field(default_factory=dict, compare=False)


def test_it_is_what_the_dataclass_would_be() -> None:
    for given in ((1,), (2, "two"), (3, "three", {"x": 1})):
        coin, plain = Coin(*given), Plain(*given)  # pyright: ignore[reportArgumentType] - of three lengths
        assert type(coin) is Coin
        assert repr(coin) == repr(plain).replace("Plain", "Coin")
        assert [getattr(coin, item.name) for item in fields(coin)] == [
            getattr(plain, item.name) for item in fields(plain)
        ]
        assert (coin == Coin(*given), hash(coin) == hash(Coin(*given))) == (True, True)  # pyright: ignore[reportArgumentType] - as above
        assert pickle.loads(pickle.dumps(coin)) == coin
    assert Coin(1) != Coin(2)
    assert replace(Coin(1), label="x") == Coin(value=1, label="x")
    assert Coin(1).marks is not Coin(1).marks


def test_it_never_changes() -> None:
    coin = Coin(1)
    with pytest.raises(FrozenInstanceError):
        coin.value = 2  # pyright: ignore[reportAttributeAccessIssue] - what is tested
    with pytest.raises(FrozenInstanceError):
        del coin.value  # pyright: ignore[reportAttributeAccessIssue] - what is tested
    with pytest.raises((AttributeError, TypeError)):
        coin.other = 2  # pyright: ignore[reportAttributeAccessIssue] - what is tested
    with pytest.raises(TypeError):
        Coin()  # pyright: ignore[reportCallIssue] - what is tested
    with pytest.raises(TypeError):
        Coin(1, colour=3)  # pyright: ignore[reportCallIssue] - what is tested


def test_it_is_not_derived_from() -> None:
    class Child(Coin):
        more: int = 0

    with pytest.raises(AssertionError):
        record(Child)
