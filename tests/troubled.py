"""A door in trouble: it refuses, as it does while the database is away."""

from tallybook.kernel.refusal import Refusal
from tallybook.writer.door import Door
from tallybook.writer.model import Command, Outcome
from tallybook.writer.transact import refused


def refuse_at_the_door(door: Door, code: str, times: int, operation: object) -> list[int]:
    """Let a door refuse an operation so many times; gives how often it was asked for."""
    ask, asked = door.ask, [0]

    async def ask_in_trouble(command: Command) -> Outcome:
        if command.operation is operation:
            asked[0] += 1
            if asked[0] <= times:
                return refused(Refusal(code))
        return await ask(command)

    door.ask = ask_in_trouble
    return asked


def lose_answers(door: Door, operation: object, times: int) -> list[int]:
    """Let a door do an operation, and say so many times that nobody knows; gives how often."""
    ask, asked = door.ask, [0]

    async def ask_in_trouble(command: Command) -> Outcome:
        if command.operation is not operation:
            return await ask(command)
        asked[0] += 1
        outcome = await ask(command)
        return outcome if asked[0] > times else refused(Refusal("outcome_unknown"))

    door.ask = ask_in_trouble
    return asked
