"""Known bugs, to be planted one at a time: what proves nothing when the code is wrong is no proof.

Each replaces one function or query of the program while it is planted, in tests only. Which check
finds it is said by the check, not here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

from tallybook.collection.operations.transfers import Answer
from tallybook.processor.model import ReportState, Result, TransferState
from tallybook.processor.rules import Folded
from tallybook.processor.sender import Sent

Wrong = Any
"""A function of the program, or a query."""


@dataclass(frozen=True)
class Bug:
    """One mistake: what is replaced, and by what; `make` is given the right one."""

    name: str
    places: Sequence[str]
    """Where it is looked up: `package.module:name` or `package.module:Class.name`."""
    make: Callable[[Wrong], Wrong]

    @contextmanager
    def planted(self) -> Generator[None]:
        """Have the bug in the program for a while."""
        with ExitStack() as stack:
            for place in self.places:
                module, _, path = place.partition(":")
                owner: Any = importlib.import_module(f"tallybook.{module}")
                *classes, name = path.split(".")
                for each in classes:
                    owner = getattr(owner, each)
                stack.enter_context(patch.object(owner, name, self.make(getattr(owner, name))))
            yield


def always(value: object) -> Callable[[Wrong], Wrong]:
    """Make a function that gives the same whatever it is asked."""

    def make(right: Wrong) -> Wrong:
        del right
        return lambda *_, **__: value

    return make


async def _nothing(*_: object, **__: object) -> int:
    return 0


def _resends(right: Wrong) -> Wrong:
    async def call(self: Any, *asked: Any) -> Sent:
        sent = await right(self, *asked)
        return await right(self, *asked) if sent.unknown else sent

    return call


def _unknown_is_refused(right: Wrong) -> Wrong:
    def answered(before: Any, command: Any) -> Any:
        if command.answer is Answer.UNKNOWN:
            command = replace(command, answer=Answer.NOT_CONNECTED)
        return right(before, command)

    return answered


def _sends_after_lease(right: Wrong) -> Wrong:
    async def call(self: Any, transfer: Any, account: str, may_send: Any) -> Sent:
        del may_send
        return await right(self, transfer, account, lambda: True)

    return call


def _last_row_wins(right: Wrong) -> Wrong:
    def fold(facts: Any) -> Folded:
        facts = list(facts)
        if not facts:
            return right(facts)
        last = max(facts, key=lambda fact: fact.happened_on)
        return right([last])

    return fold


def _returns_ignored(right: Wrong) -> Wrong:
    def fold(facts: Any) -> Folded:
        facts = list(facts)
        successes = [fact for fact in facts if fact.result is Result.SUCCESS]
        return right(successes or facts)

    return fold


def _any_account(right: Wrong) -> Wrong:
    def match(fact: Any, unknowns: Any, hashes: Any) -> Any:
        if fact.account_hash is None:
            return right(fact, unknowns, hashes)
        return min((each.id for each in unknowns), default=None)

    return match


def _without_coverage(right: Wrong) -> Wrong:
    del right

    def timed_out(sent_on: date, run_on: date, covered: Any) -> bool:
        del covered
        return (run_on - sent_on).days > 5

    return timed_out


def _floor(right: Wrong) -> Wrong:
    del right
    return lambda numerator, denominator: numerator // denominator


def _tax_per_piece(right: Wrong) -> Wrong:
    def total(price: int, quantity: int, ppm: int, *, tax_inclusive: bool) -> tuple[int, int]:
        amount, tax = right(price, 1, ppm, tax_inclusive=tax_inclusive)
        return amount * quantity, tax * quantity

    return total


def _greedy(right: Wrong) -> Wrong:
    del right

    def find(amount: int, drawer: Any) -> Any:
        pieces: list[tuple[int, int]] = []
        for value, count in drawer:
            taken = min(count, amount // value)
            if taken:
                pieces.append((value, taken))
                amount -= taken * value
        return None if amount else tuple(pieces)

    return find


def _larger_last(right: Wrong) -> Wrong:
    return lambda total, parts, **more: tuple(reversed(right(total, parts, **more)))


def _each_part_alone(right: Wrong) -> Wrong:
    def plan(items: Any, so_far: Any, cash: int, chosen: Any, rounding: Any) -> Any:
        del so_far, cash
        return right(items, {}, 0, chosen, rounding)

    return plan


def _no_pieces_taken_in(right: Wrong) -> Wrong:
    return lambda counts, pieces, sign=1: right(counts, pieces, sign) if sign < 0 else dict(counts)


def _uncounted_stays(right: Wrong) -> Wrong:
    return lambda counts, _uncounted, counted: right(counts, 0, counted)


def _key_without_body(right: Wrong) -> Wrong:
    del right
    return lambda _self: "0" * 64


def _not_held(right: Wrong) -> Wrong:
    def move(view: Any, before: Any, after: Any, *more: Any, **named: Any) -> Any:
        if after.state is TransferState.TIMED_OUT:
            after = replace(after, held=False)
        return right(view, before, after, *more, **named)

    return move


def _stays_due(right: Wrong) -> Wrong:
    return lambda after: after.state is TransferState.FAILED or right(after)


def _on_the_runs_date(right: Wrong) -> Wrong:
    del right
    return lambda self: self._run_on


def _runs_again(right: Wrong) -> Wrong:
    def decide(self: Any, view: Any, command: Any, moment: Any, ids: Any) -> Any:
        kept = view.row

        class Forgetful:
            def row(self, shelf: Any, key: Any) -> Any:
                return None if shelf.name == "runs" else kept(shelf, key)

        return right(self, Forgetful(), command, moment, ids)

    return decide


def _always_fresh(right: Wrong) -> Wrong:
    drawn = iter(range(10**9))

    def identities(intake: Any, given: Any, said: Any, *times: Any) -> Any:
        return right(intake, replace(given, source_id=None), [*said, str(next(drawn))], *times)

    return identities


def _only_exact(right: Wrong) -> Wrong:
    def choose(kind: Any, bills: Any, payment: Any) -> Any:
        chosen, why = right(kind, bills, payment)
        is_exact = sum(bill.open_on(payment.on) or 0 for bill in chosen) == payment.amount
        return (chosen, why) if is_exact else ([], "it waits")

    return choose


def _bills_first_heard(right: Wrong) -> Wrong:
    def choose(kind: Any, bills: Any, payment: Any) -> Any:
        heard = [bill for bill in bills if bill.seen_on <= payment.on]
        return right(kind, heard, payment)

    return choose


def _fee_at_once(right: Wrong) -> Wrong:
    return lambda advance, paid: advance.fee_minor if paid else right(advance, paid)


def _without(condition: str) -> Callable[[str], str]:
    """Make a query that does not look at a condition."""

    def make(right: str) -> str:
        assert condition in right, "the query has changed: this would plant nothing"
        return right.replace(condition, "1 = 1")

    return make


def _price_of_now(right: Wrong) -> Wrong:
    def basket(lines: Any, number: int) -> Any:
        return right([(product, 1) for product, _ in lines], number)

    return basket


def _held_is_owed(right: Wrong) -> Wrong:
    return lambda plan: right(plan) + plan.held_minor


def _bounced_still_counts(right: Wrong) -> Wrong:
    def take_back(view: Any, draft: Any, payment: Any, *told: Any) -> Any:
        after = right(view, draft, payment, *told)
        draft.loan = replace(
            draft.loan, received_minor=draft.loan.received_minor + payment.amount_minor
        )
        return after

    return take_back


def _interest_first(right: Wrong) -> Wrong:
    def earned(terms: Any, coverage: Any) -> Any:
        return min(terms.interest_minor, right(terms, coverage) * 2)

    return earned


def _a_week_late(right: Wrong) -> Wrong:
    def since(terms: Any, coverage: Any) -> Any:
        day = right(terms, coverage)
        return day and day + timedelta(days=7)

    return since


_MOVES = "collection.operations.transfers"
_FOLDS = ("collection.operations.settling:fold_facts", "collection.operations.items:fold_facts")

BUGS: list[Bug] = [
    Bug("a call without an answer is made again", ["processor.sender:Sender._call"], _resends),
    Bug("no answer counts as not sent", [f"{_MOVES}:_answered"], _unknown_is_refused),
    Bug("a process that slept past its lease sends", ["processor.sender:Sender._call"],
        _sends_after_lease),
    Bug("intents of dead processes are forgotten",
        ["collection.tasks.run:expire_intents", "collection.tasks.paying:expire_intents"],
        lambda _: _nothing),
    Bug("the last row of a report wins", _FOLDS, _last_row_wins),
    Bug("returns are ignored", _FOLDS, _returns_ignored),
    Bug("an orphan goes to any account", ["collection.tasks.matching:match_orphan"], _any_account),
    Bug("orphans are never matched", ["collection.tasks.matching:match_orphan"], always(None)),
    Bug("a missing report counts as one",
        ["collection.tasks.run:has_timed_out", "collection.tasks.matching:has_timed_out"],
        _without_coverage),
    Bug("every report is complete", ["collection.operations.reports:judge_report"],
        always(ReportState.COMPLETE)),
    Bug("an id that collides is taken", [f"{_MOVES}:_is_anothers"], always(value=False)),
    Bug("a timed-out amount is not held", [f"{_MOVES}:move"], _not_held),
    Bug("a hold is never released", ["collection.tasks.run:covered_days_since"], always(0)),
    Bug("a failed debit stays due", ["collection.rules:_stays_due"], _stays_due),
    Bug("a moved row is due on the run's date", ["collection.rules:_Work._due_on"],
        _on_the_runs_date),
    Bug("a held amount is collected again", ["collection.rules:target_unsent"], _held_is_owed),
    Bug("an account takes any number of debits a run", ["collection.tasks.due:_DUE"],
        _without("place + sent <= a_day")),
    Bug("the larger instalments stand last", ["collection.rules:split_evenly"], _larger_last),
    Bug("the fee is earned with the first debit", ["advances.rules:earned_fee"], _fee_at_once),
    Bug("a finished date runs again",
        ["collection.operations.runs:StartRunOperation.decide"], _runs_again),
    Bug("a key is stored without what was asked", ["writer.model:Command.input_hash"],
        _key_without_body),
    Bug("a key is not looked at", ["writer.transact:_replay"], always(None)),
    Bug("stock is not checked", ["retail.operations.purchases:check_stock"], always(None)),
    Bug("only one of each product is charged", ["retail.operations.purchases:price_basket"],
        _price_of_now),
    Bug("tax is cut off", ["retail.rules.totals:round_half_up"], _floor),
    Bug("tax is rounded per piece", ["retail.rules.basket:line_total"], _tax_per_piece),
    Bug("change is greedy", ["retail.operations.purchases:find_change"], _greedy),
    Bug("what is paid with never enters the drawer",
        ["retail.operations.purchases:add_pieces"], _no_pieces_taken_in),
    Bug("each refund is rounded by itself", ["retail.operations.refunds:plan_refund"],
        _each_part_alone),
    Bug("a count leaves uncounted cash out", ["retail.operations.drawer:compare_count"],
        _uncounted_stays),
    Bug("a pending payment reserves nothing", ["loans.operations.paying:reserved_rows"],
        always(frozenset[int]())),
    Bug("a bounced payment still counts", ["loans.operations.reversing:take_back"],
        _bounced_still_counts),
    Bug("interest is earned before it is paid", ["loans.rules.books:earned_interest"],
        _interest_first),
    Bug("a loan is delinquent a week late", ["loans.rules.books:delinquent_on"], _a_week_late),
    Bug("the same message makes a second bill", ["bills.operations.taking:_identities"],
        _always_fresh),
    Bug("a part payment is lost", ["bills.rules.paying:_choose"], _only_exact),
    Bug("a payment before its bill is lost", ["bills.rules.paying:_choose"], _bills_first_heard),
]  # fmt: skip


def swallow(error: BaseException) -> str:
    """Say in a line that a planted bug broke something loudly: that is found as well."""
    return f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
