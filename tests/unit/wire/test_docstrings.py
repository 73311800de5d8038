"""The docstrings under a model's fields become their descriptions in the document."""

from pydantic import Field

from tallybook.wire.fields import Answer, Count
from tallybook.wire.paging import ListOf


class Shelf(Answer):
    """A shelf."""

    count: Count
    """How many there are.

    More than none.
    """
    width: int = Field(description="Told otherwise.")

    name: str

    @property
    def label(self) -> str:
        """Not a field."""
        return self.name


class Broad(Shelf):
    width: int
    """How broad it is."""
    owner: Shelf | None = None
    """Whose it is."""


def descriptions(kind: type[Answer]) -> dict[str, str | None]:
    shown = kind.model_json_schema()["properties"]
    return {name: shown[name].get("description") for name in shown}


def test_a_text_right_below_a_field_describes_it() -> None:
    assert descriptions(Shelf) == {
        "count": "How many there are.\n\nMore than none.",
        "width": "Told otherwise.",
        "name": None,
    }


def test_fields_of_an_ancestor_keep_theirs_unless_they_are_told_anew() -> None:
    assert descriptions(Broad) == {
        "count": "How many there are.\n\nMore than none.",
        "width": "How broad it is.",
        "name": None,
        "owner": "Whose it is.",
    }


def test_a_class_without_a_source_has_no_docstrings() -> None:
    assert set(descriptions(ListOf[Shelf]).values()) == {None}
