"""What a call may reach: the engine, through the few attributes that routes need."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from fastapi import Depends

from tallybook.ambient.clock import Clock
from tallybook.ambient.secrets import Secrets
from tallybook.db.engine import Database
from tallybook.kernel.ids import Ids
from tallybook.writer.door import Door


class WireSettings(Protocol):
    """The settings that routes look at."""

    @property
    def project_name(self) -> str:
        """The title over the API's pages."""
        ...

    @property
    def version(self) -> str:
        """What is running; shown, never set."""
        ...

    @property
    def api_v1_prefix(self) -> str:
        """What stands before every call's path, such as `/api/v1`."""
        ...

    @property
    def currency(self) -> str:
        """The currency of requests that name none."""
        ...

    @property
    def timezone(self) -> str:
        """Whose calendar business dates follow."""
        ...

    @property
    def docs_page(self) -> bool:
        """Whether the page at /docs and the OpenAPI document are served."""
        ...

    @property
    def rate_limit(self) -> float:
        """How many calls a second one client may make; 0: as many as they like."""
        ...

    @property
    def body_limit(self) -> int:
        """How large a body may be where a call has no limit of its own. Units: bytes."""
        ...

    @property
    def cash_rounding(self) -> str:
        """How a sale is rounded to what cash can pay."""
        ...


class Context(Protocol):
    """One running engine, as the routes see it."""

    @property
    def settings(self) -> WireSettings:
        """How the installation is set up."""
        ...

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...

    @property
    def door(self) -> Door:
        """Where every write goes."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def ids(self) -> Ids:
        """Where fresh ids come from."""
        ...

    @property
    def secrets(self) -> Secrets:
        """What seals and finds account numbers."""
        ...

    @property
    def processor(self) -> Any:  # noqa: ANN401 - the port stands above the wire; its routes know it
        """The rail to the outside."""
        ...


def context_of() -> Context:
    """Stand for the engine in the signature of a read; `wire/arguments.py` puts it there."""
    raise AssertionError("FastAPI describes reads and never runs them")


InContext = Annotated[Context, Depends(context_of)]
"""How a read asks for the engine: `def list_customers(context: InContext) -> ...`."""
