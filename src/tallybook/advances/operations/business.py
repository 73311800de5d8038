"""How collection reaches advances: booking transfers, ruling on defaults, using credit."""

from __future__ import annotations

from tallybook.advances.operations.booking import AdvanceBooking
from tallybook.advances.operations.rulings import (
    APPLY_CREDIT,
    CANCEL_ADVANCE,
    RESUME_ADVANCE,
    WRITE_OFF_ADVANCE,
    ApplyCredit,
    RuleAdvance,
)
from tallybook.advances.views import ADVANCE_PREFIX
from tallybook.collection.operations.business import CreditUse
from tallybook.kernel.ids import parse_id
from tallybook.processor.model import Action, ItemKind, OperatorItem
from tallybook.writer.model import Command

_RULINGS = {
    Action.RESUME: RESUME_ADVANCE,
    Action.CANCEL: CANCEL_ADVANCE,
    Action.WRITE_OFF: WRITE_OFF_ADVANCE,
}


class AdvanceBusiness(AdvanceBooking):
    """Advances as a collecting business."""

    def ruling(self, item: OperatorItem, action: Action, reason: str, by: str) -> Command | None:
        """Make the command that a person's word on a default stands for."""
        if item.kind is not ItemKind.DEFAULT or item.subject_id is None:
            return None
        asked = RuleAdvance(item.subject_id, reason, by=by, item_id=item.id)
        return Command(_RULINGS[action], asked)

    def credit_application(self, asked: CreditUse) -> Command | None:
        """Make the command that pays what an advance owes with credit."""
        advance_id = None
        if asked.subject_id is not None:
            advance_id = parse_id(ADVANCE_PREFIX, asked.subject_id)
            if advance_id is None:
                return None
        use = ApplyCredit(
            advance_id, asked.customer_id, asked.amount_minor, asked.currency, asked.reason
        )
        return Command(APPLY_CREDIT, use)


ADVANCE_BUSINESS = AdvanceBusiness()
