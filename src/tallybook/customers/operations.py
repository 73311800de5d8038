"""The writes: create a customer, change one, add a bank account. Source: C1.

A command never carries an account number in clear: commands are hashed and may be logged.
`take_number` turns the number into what finds it and what is kept of it, before the command is
made.
"""

from __future__ import annotations

from dataclasses import field

from tallybook.ambient.secrets import Secrets
from tallybook.customers.model import BankAccount, Customer, CustomerStatus, account_context
from tallybook.customers.rules import fold_email, last_four, normalise_number
from tallybook.customers.store import (
    ACCOUNT_BY_NUMBER,
    ACCOUNTS_OF,
    BANK_ACCOUNTS,
    CUSTOMER_BY_EMAIL,
    CUSTOMERS,
)
from tallybook.customers.views import show_bank_account, show_customer
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View


@frozen
class TakenNumber:
    """A bank account number on its way in: found by its hash, kept sealed, shown as four digits."""

    number_hash: str
    last4: str
    # Both differ each time the same number is sent, and a retry must hash like the first try.
    account_id: str = field(repr=False, metadata={"hashed": False})
    number_sealed: bytes = field(repr=False, metadata={"hashed": False})


def take_number(number: str, secrets: Secrets, ids: Ids) -> TakenNumber:
    """Normalise, hash and seal a bank account number as it came from outside.

    Raises: Refused `bank_account_invalid`.
    """
    plain = normalise_number(number)
    account_id = ids.fresh()
    return TakenNumber(
        secrets.keyed_hash(plain),
        last_four(plain),
        account_id,
        secrets.seal(plain, context=account_context(account_id)),
    )


def number_hash(number: str, secrets: Secrets) -> str:
    """Hash a number as `ACCOUNT_BY_NUMBER` finds it.

    Raises: Refused `bank_account_invalid`.
    """
    return secrets.keyed_hash(normalise_number(number))


# -- create ----------------------------------------------------------------------------------


@frozen
class CreateCustomer:
    """A new customer; name and e-mail went through `clean_name` and `clean_email`."""

    name: str
    email: str
    credit_limit_minor: int | None
    currency: str
    numbers: tuple[TakenNumber, ...] = ()
    said: Said = said_of("credit_limit_minor", "currency")


class CreateCustomerOperation:
    """Creates a customer with any number of bank accounts."""

    name = "customers.create_customer"

    def needs(self, command: CreateCustomer, seen: View) -> Needs:
        """Look for others with this e-mail address or these accounts."""
        del seen
        return Needs(
            look_up=(
                (CUSTOMER_BY_EMAIL, fold_email(command.email)),
                *((ACCOUNT_BY_NUMBER, number.number_hash) for number in command.numbers),
            )
        )

    def decide(
        self, view: View, command: CreateCustomer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Create the customer, unless e-mail or an account are another's."""
        folded = fold_email(command.email)
        if view.one(CUSTOMER_BY_EMAIL, folded) is not None:
            return Refusal("email_taken", param="email")
        for place, number in enumerate(command.numbers):
            if view.one(ACCOUNT_BY_NUMBER, number.number_hash) is not None:
                return Refusal("bank_account_taken", param=f"bank_accounts.{place}")
        customer = Customer(
            id=ids.fresh(),
            name=command.name,
            email=command.email,
            email_folded=folded,
            status=CustomerStatus.ACTIVE,
            credit_limit_minor=command.credit_limit_minor,
            currency=command.currency,
            created_at=moment.now,
        )
        # The same number twice in one request is one account.
        distinct = {number.number_hash: number for number in reversed(command.numbers)}
        accounts = [_account(number, customer.id, moment) for number in distinct.values()]
        created = Event(
            "customers.customer.created",
            customer.id,
            {"status": customer.status.value, "bank_accounts": len(accounts)},
            customer.id,
        )
        return Decision(
            added=(
                (CUSTOMERS, customer),
                *((BANK_ACCOUNTS, account) for account in accounts),
            ),
            events=(created, *(_added(account) for account in accounts)),
            reply=Reply(201, show_customer(customer, accounts)),
            value=customer,
        )


# -- add a bank account ----------------------------------------------------------------------


@frozen
class AddBankAccount:
    """One more bank account for a customer."""

    customer_id: str
    number: TakenNumber


class AddBankAccountOperation:
    """Adds a bank account to a customer."""

    name = "customers.add_bank_account"

    def needs(self, command: AddBankAccount, seen: View) -> Needs:
        """Lock the customer, before a row that refers to them; look for the number."""
        del seen
        return Needs(
            look_up=((ACCOUNT_BY_NUMBER, command.number.number_hash),),
            lock=((CUSTOMERS, command.customer_id),),
        )

    def decide(
        self, view: View, command: AddBankAccount, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Add it, unless it is another's; one that is theirs already stays as it is."""
        del ids
        if view.row(CUSTOMERS, command.customer_id) is None:
            return Refusal("customer_not_found")
        known = view.one(ACCOUNT_BY_NUMBER, command.number.number_hash)
        if known is not None:
            if known.customer_id != command.customer_id:
                return Refusal("bank_account_taken", param="number")
            return Decision(reply=Reply(200, show_bank_account(known)), value=known)
        account = _account(command.number, command.customer_id, moment)
        return Decision(
            added=((BANK_ACCOUNTS, account),),
            events=(_added(account),),
            reply=Reply(201, show_bank_account(account)),
            value=account,
        )


# -- change ----------------------------------------------------------------------------------


@frozen
class ChangeCustomer:
    """What is to be different about a customer; None leaves a field as it is."""

    customer_id: str
    name: str | None = None
    email: str | None = None
    status: CustomerStatus | None = None
    sets_limit: bool = False
    """Whether the limit is to be set: then None means no limit."""
    credit_limit_minor: int | None = None
    currency: str | None = None
    """What a new limit is counted in."""
    said: Said = said_of("credit_limit_minor", "currency")


class ChangeCustomerOperation:
    """Changes a customer."""

    name = "customers.change_customer"

    def needs(self, command: ChangeCustomer, seen: View) -> Needs:
        """Lock the customer; look for others with the new e-mail address."""
        del seen
        email = command.email
        return Needs(
            look_up=() if email is None else ((CUSTOMER_BY_EMAIL, fold_email(email)),),
            lock=((CUSTOMERS, command.customer_id),),
            read=((ACCOUNTS_OF, command.customer_id),),
        )

    def decide(
        self, view: View, command: ChangeCustomer, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Change what is to be different, unless the e-mail address is another's."""
        del moment, ids
        before = view.row(CUSTOMERS, command.customer_id)
        if before is None:
            return Refusal("customer_not_found")
        if command.email is not None:
            holder = view.one(CUSTOMER_BY_EMAIL, fold_email(command.email))
            if holder is not None and holder.id != before.id:
                return Refusal("email_taken", param="email")
        after = _changed(before, command)
        reply = Reply(200, show_customer(after, view.rows(ACCOUNTS_OF, before.id)))
        if after == before:
            return Decision(reply=reply, value=after)
        # What changed, and the values that decide about money; never the address itself.
        body = {
            "changed": [
                name
                for name in ("name", "email", "status", "credit_limit_minor", "currency")
                if getattr(before, name) != getattr(after, name)
            ],
            "status": after.status.value,
            "credit_limit_minor": after.credit_limit_minor,
            "currency": after.currency,
        }
        return Decision(
            changed=((CUSTOMERS, after),),
            events=(Event("customers.customer.changed", after.id, body, after.id),),
            reply=reply,
            value=after,
        )


CREATE_CUSTOMER = CreateCustomerOperation()
ADD_BANK_ACCOUNT = AddBankAccountOperation()
CHANGE_CUSTOMER = ChangeCustomerOperation()


def _account(number: TakenNumber, customer_id: str, moment: Moment) -> BankAccount:
    return BankAccount(
        id=number.account_id,
        customer_id=customer_id,
        number_hash=number.number_hash,
        number_sealed=number.number_sealed,
        last4=number.last4,
        created_at=moment.now,
    )


def _added(account: BankAccount) -> Event:
    return Event(
        "customers.bank_account.added",
        account.id,
        {"last4": account.last4},
        account.customer_id,
    )


def _changed(before: Customer, command: ChangeCustomer) -> Customer:
    after = before
    if command.name is not None:
        after = replace(after, name=command.name)
    if command.email is not None:
        after = replace(after, email=command.email, email_folded=fold_email(command.email))
    if command.status is not None:
        after = replace(after, status=command.status)
    if command.sets_limit:
        after = replace(
            after,
            credit_limit_minor=command.credit_limit_minor,
            currency=command.currency or after.currency,
        )
    return after
