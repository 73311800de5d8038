"""Customer credit used for whatever is owed, by the business that it is owed to. Source: C3."""

from __future__ import annotations

from functools import reduce

from tallybook.collection.operations.business import BUSINESSES, CreditUse
from tallybook.collection.operations.moving import join_needs
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.model import Command, Decision, Moment, Needs, View


class ApplyCreditOperation:
    """Asks each business in turn, until one has something that the credit can be used for.

    Decided in one write, so that a copy of a request without a subject finds the same one.
    """

    name = "collection.apply_credit"

    def needs(self, command: CreditUse, seen: View) -> Needs:
        """Ask for what each business asks for."""
        asked = (each.operation.needs(each.input, seen) for each in _commands(command))
        return reduce(join_needs, asked, Needs())

    def decide(
        self, view: View, command: CreditUse, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Use the credit where something is owed."""
        for each in _commands(command):
            decided = each.operation.decide(view, each.input, moment, ids)
            if not isinstance(decided, Refusal) or decided.code != "subject_not_found":
                return decided
        return Refusal("subject_not_found", param="subject_id")


def _commands(asked: CreditUse) -> list[Command]:
    """List what each business would do, in an order that is always the same."""
    in_order = sorted(BUSINESSES.all.items())
    made = (business.credit_application(asked) for _, business in in_order)
    return [command for command in made if command is not None]


APPLY_CREDIT = ApplyCreditOperation()
