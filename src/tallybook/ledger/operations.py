"""The ledger's writes: one entry, posted by a program that keeps books of its own."""

from __future__ import annotations

from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Entry, imbalance, is_of_one_customer
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class PostEntry:
    """A balanced entry to be posted as it stands."""

    entry: Entry


class PostEntryOperation:
    """Posts one entry that is not the business of any domain here."""

    name = "ledger.post_entry"

    def needs(self, command: PostEntry, seen: View) -> Needs:
        """Need nothing: balances grow without being read."""
        del command, seen
        return Needs()

    def decide(
        self, view: View, command: PostEntry, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Post it, unless it does not balance, or concerns several customers."""
        del view, moment
        if imbalance(command.entry) or len(command.entry.postings) < 2:
            return Refusal("entry_unbalanced")
        if not is_of_one_customer(command.entry):
            return Refusal("entry_customers_differ")
        subject = command.entry.postings[0].subject_id or ids.fresh()
        return Decision(
            entries=(command.entry,),
            events=(Event("ledger.entry.posted", subject, {"kind": command.entry.kind}),),
            reply=Reply(201, {"kind": command.entry.kind}),
        )


POST_ENTRY = PostEntryOperation()
