"""The docstrings that stand under a model's fields, as the descriptions of those fields.

Pydantic reads them too (`use_attribute_docstrings`), but when the class is made: to parse the
source of every body and answer took a twelfth of the server's start, for a document that few want.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel


def describe_fields(schema: dict[str, Any], kind: type[BaseModel]) -> None:
    """Put the docstrings of a model's fields into its JSON schema."""
    properties = schema.get("properties", {})
    for ancestor in reversed(kind.__mro__):
        if issubclass(ancestor, BaseModel) and "__annotations__" in ancestor.__dict__:
            for name, text in _docstrings(ancestor).items():
                if name in properties:
                    properties[name]["description"] = text


@cache
def _docstrings(kind: type) -> dict[str, str]:
    """Find the fields of one class that have a text right below them.

    Python reads the whole module to find a class, and a document asks for most classes often.
    """
    return dict(_found(kind))


def _found(kind: type) -> Iterator[tuple[str, str]]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return  # made while the program runs, as a generic model's variant is
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    for field, below in pairwise(definition.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(t))
            ):
                yield name, inspect.cleandoc(t)
            case _:
                pass
