"""The switch of all sending, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from tallybook.collection.operations.switching import SET_SENDING, SetSending
from tallybook.collection.tasks.switch import set_sending
from tallybook.collection.views import SendingView, sending_view
from tallybook.processor.model import SendingState
from tallybook.processor.queries import find_sending
from tallybook.wire.calls import Call
from tallybook.wire.context import InContext
from tallybook.wire.envelope import COMMAND_IN_SCOPE
from tallybook.wire.fields import Body, Text
from tallybook.wire.routes import Router

ROUTER = Router("collection")


class SendingChange(Body):
    """Who wants sending stopped or started, and why."""

    reason: Text
    by: Annotated[Text, Field(max_length=100)] = "operator"


@ROUTER.get("/sending", response_model=SendingView)
def read_sending(context: InContext) -> Any:  # noqa: ANN401 - the response model tells
    """Read whether anything may be sent to the Processor, and who said so."""
    with context.database.reader() as connection:
        return sending_view(find_sending(connection))


@ROUTER.post("/sending/stop", response_model=SendingView)
async def stop_sending(call: Call, body: SendingChange) -> Response:
    """Stop all sending to the Processor, a run in progress included.

    Once this is answered no call to the Processor begins any more, in any process.
    """
    return await _set_sending(call, SendingState.STOPPED, body)


@ROUTER.post("/sending/start", response_model=SendingView)
async def start_sending(call: Call, body: SendingChange) -> Response:
    """Let sending go on: after a stop, or where a person has reconciled a restored copy."""
    return await _set_sending(call, SendingState.OPEN, body)


async def _set_sending(call: Call, state: SendingState, body: SendingChange) -> Response:
    call.scope[COMMAND_IN_SCOPE] = SET_SENDING.name
    asked = SetSending(state, body.reason, body.by)
    return call.respond(await set_sending(call.context.door, asked, key=call.key))
