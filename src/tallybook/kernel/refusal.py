"""Every refusal Tallybook can give: one list, with code, HTTP status, sentence and retry.

A refusal is an answer, not an error: the request was understood, and nothing was done. Three codes
can't promise that: after `outcome_unknown`, `call_unrecorded` and `internal_error` it may be done.
And two keep something: `processor_rejected` an advance that failed, `report_unreadable` the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from tallybook.kernel.frozen import frozen


@frozen
class RefusalKind:
    """What is the same for every refusal with one code."""

    status: int
    sentence: str
    """One sentence that says what would help. `{name}` is filled in from the details."""
    retry: bool = False
    """Whether a program may send the very same request again by itself, under the same key, and it
    may succeed. That may need somebody else: a stopped Processor has to be started again
    (`sending_stopped`). False for `call_unrecorded`: to ask again under the key is safe there, but
    tells what is known of the first call and makes no second one."""


@frozen
class Refusal:
    """One refusal: its code, the field it is about, and facts a program can use."""

    code: str
    param: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def kind(self) -> RefusalKind:
        """Look up what the catalogue says of this code."""
        return REFUSALS[self.code]

    @property
    def sentence(self) -> str:
        """Tell a person what is wrong and what would help."""
        return self.kind.sentence.format_map(_Blank(self.details))


class Refused(Exception):  # noqa: N818 - it is not an error: the world asked for what can't be had
    """Carries a refusal out of code that parses or reads."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class _Blank(dict[str, object]):
    """Shows a name without a detail as `(name)`, so that a sentence never raises."""

    def __missing__(self, key: str) -> str:
        return f"({key})"


_IN_ORDER: dict[str, RefusalKind] = {
    # The guard: who may call at all.
    "api_key_missing": RefusalKind(
        401, "This needs an API key: send the header Authorization: Bearer and the key."
    ),
    "api_key_invalid": RefusalKind(
        401,
        "The API key is wrong, revoked or expired. Make another with `tallybook keys rotate`.",
    ),
    "scope_insufficient": RefusalKind(
        403, "This needs a key with the scope {needed}; this one has {held}."
    ),
    "host_not_served": RefusalKind(
        403,
        "Without API keys only this machine's own names are served. Make a key with"
        " `tallybook keys create`.",
    ),
    "origin_not_allowed": RefusalKind(
        403, "Pages of other sites may not call this API. Call it from a program."
    ),
    "rate_limited": RefusalKind(
        429, "More than {a_second} calls a second were made. Wait a moment.", retry=True
    ),
    "api_key_not_found": RefusalKind(
        404, "No API key has this id. `tallybook keys list` has them."
    ),
    "client_name_taken": RefusalKind(
        409,
        "A client of this name has had an API key. `tallybook keys rotate {key_id}` makes its next"
        " one, whether or not that one has ended, and what it asks again is still the same request."
        " If another client is meant, say --new-client.",
    ),
    # The envelope, in the order in which it is looked at.
    "not_found": RefusalKind(404, "There is nothing at this address."),
    "method_not_allowed": RefusalKind(405, "This address does not take that method."),
    "request_malformed": RefusalKind(400, "The request is not one that HTTP allows here."),
    "head_too_large": RefusalKind(
        431, "The address and the headers are larger than {limit} bytes."
    ),
    "head_too_slow": RefusalKind(408, "The headers took too long to arrive. Send them again."),
    "content_type_unsupported": RefusalKind(
        415,
        "Send the body as application/json (or the type that this call names), as it is: without"
        " a Content-Encoding.",
    ),
    "body_too_large": RefusalKind(413, "The body is larger than the {limit} bytes allowed here."),
    "body_too_slow": RefusalKind(408, "The body took too long to arrive. Send it again."),
    "body_malformed": RefusalKind(422, "The body can't be taken as JSON: {problem}."),
    "field_invalid": RefusalKind(422, "The field '{field}' is not valid: {problem}."),
    "key_invalid": RefusalKind(
        422, "An Idempotency-Key is 1 to 255 printable ASCII characters without spaces at its ends."
    ),
    "key_reused_with_other_input": RefusalKind(
        422, "This Idempotency-Key was used before with another input. Use a new key."
    ),
    "id_invalid": RefusalKind(404, "The id in the address is not one that this call knows."),
    # Files to import.
    "file_malformed": RefusalKind(422, "The file can't be imported: {problem}."),
    "line_malformed": RefusalKind(422, "The line can't be read: {problem}."),
    # Machine trouble that a client may see.
    "busy": RefusalKind(503, "The database is busy. Try again in a moment.", retry=True),
    "outcome_unknown": RefusalKind(
        503,
        "The database did not confirm the write. Ask again with the same Idempotency-Key.",
        retry=True,
    ),
    "call_unrecorded": RefusalKind(
        504,
        "The money may have moved, but what came of it could not be recorded. Asking again with the"
        " same Idempotency-Key is safe. Without that key look first what came of it: a new request"
        " may move the money twice.",
    ),
    "shutting_down": RefusalKind(503, "The server is shutting down. Try again.", retry=True),
    "internal_error": RefusalKind(
        500, "Something broke on our side. The log has the details under this request id."
    ),
    # Money and dates.
    "currency_unknown": RefusalKind(
        422, "The currency must be the ISO 4217 code of a currency, such as USD."
    ),
    "amount_invalid": RefusalKind(
        422,
        "The amount must be a positive decimal string or integer in major units, with no more"
        " decimals than the currency has.",
    ),
    "date_invalid": RefusalKind(
        422, "The date is not a calendar date of the years 1900 to 2200, written YYYY-MM-DD."
    ),
    "date_in_future": RefusalKind(422, "The date lies after today, {today}."),
    "date_too_old": RefusalKind(
        422, "The date lies more than {days} days back. Only imports may reach further."
    ),
    # Customers.
    "name_invalid": RefusalKind(
        422, "A name is 1 to 200 characters of any script, without control characters."
    ),
    "email_invalid": RefusalKind(422, "The e-mail address does not look like one: name@host."),
    "bank_account_invalid": RefusalKind(
        422,
        "A bank account number has 4 to 34 letters and digits; spaces and hyphens do not count.",
    ),
    "customer_not_found": RefusalKind(404, "No customer has this id. Create it first."),
    "bank_account_not_found": RefusalKind(
        404, "No customer has this bank account. Register it with the customer first."
    ),
    "email_taken": RefusalKind(409, "Another customer has this e-mail address."),
    "bank_account_taken": RefusalKind(409, "This bank account belongs to another customer."),
    "credit_insufficient": RefusalKind(409, "The customer has {credit} of credit, not enough."),
    "subject_not_found": RefusalKind(404, "There is nothing owed under this id."),
    "subject_owes_less": RefusalKind(409, "Only {owed} is owed there. Apply no more than that."),
    # Advances, transfers and the Processor.
    "advance_not_found": RefusalKind(404, "No advance has this id."),
    "customer_not_eligible": RefusalKind(409, "The customer can't have this now: {reason}."),
    "currency_not_served": RefusalKind(
        422, "The Processor moves {served} only. Ask for an amount in that currency."
    ),
    "advance_too_small": RefusalKind(
        422, "The amount with its fee must be at least one minor unit per installment."
    ),
    "advance_state_wrong": RefusalKind(409, "The advance is {status}, so this can't be done."),
    "processor_rejected": RefusalKind(
        502, "The Processor refused the transfer. Nothing was paid and nothing is owed."
    ),
    "processor_unavailable": RefusalKind(
        502, "The Processor could not be reached, so no report was taken.", retry=True
    ),
    "report_file_needed": RefusalKind(
        422, "Only today's report can be downloaded: send the file of {report_on}."
    ),
    "report_unreadable": RefusalKind(
        422, "The report is not one that can be read. It was kept; it covers no day."
    ),
    "run_out_of_order": RefusalKind(
        409, "A later business date has been run already: the last finished one is {last}."
    ),
    "run_in_progress": RefusalKind(409, "A run is in progress. Ask again later.", retry=True),
    "run_in_future": RefusalKind(
        422, "With a live Processor a run can't be later than today, {today}."
    ),
    "sending_stopped": RefusalKind(
        503, "Nothing is sent to the Processor now ({reason}). Ask again later.", retry=True
    ),
    "row_not_open": RefusalKind(
        409, "Row {number} of this plan is not one that is still to be collected."
    ),
    "operator_item_not_found": RefusalKind(404, "No operator item has this id."),
    "operator_item_resolved": RefusalKind(409, "This operator item was resolved before."),
    "transfer_needed": RefusalKind(422, "Name the transfer this is about: one that is on record."),
    "transaction_id_taken": RefusalKind(409, "Another transfer has this transaction id already."),
    "action_not_allowed": RefusalKind(409, "This action is not one of those open here: {allowed}."),
    # Loans.
    "loan_not_found": RefusalKind(404, "No loan has this id."),
    "interest_rate_invalid": RefusalKind(
        422, "An interest rate is 0 to 1000 percent for the whole term, with at most six decimals."
    ),
    "loan_too_small": RefusalKind(
        422,
        "Each installment must be at least one minor unit, and no less than its interest: take"
        " fewer installments, or a smaller rounding unit.",
    ),
    "loan_too_long": RefusalKind(422, "The last installment would be due after the year 2200."),
    "loan_reference_taken": RefusalKind(409, "Another loan has this reference: {loan_id}."),
    "loan_closed": RefusalKind(409, "The loan is closed: nothing is owed on it."),
    "loan_state_wrong": RefusalKind(409, "The loan is {status}, so this can't be done."),
    "payment_amount_mismatch": RefusalKind(
        409, "The amount must be {expected}, for installment {installment_number}."
    ),
    "payment_before_loan": RefusalKind(
        422, "The payment is dated before the loan began, on {start_on}."
    ),
    "installment_not_found": RefusalKind(
        404, "There is no installment {number}: the loan has {installments}."
    ),
    "installment_already_paid": RefusalKind(409, "Installment {number} is paid already."),
    "installment_not_next": RefusalKind(
        409, "The oldest unpaid installment is {next}. Pay that one first."
    ),
    "installment_reserved": RefusalKind(
        409, "A payment for installment {number} is pending. Wait for what becomes of it."
    ),
    "payment_not_found": RefusalKind(404, "The loan has no payment with this id."),
    "payment_state_wrong": RefusalKind(409, "The payment is {status}, so this can't be done."),
    "payment_method_reserved": RefusalKind(
        422, "Payments by '{method}' are Tallybook's own to make. Name another method."
    ),
    "reversal_before_payment": RefusalKind(
        422, "The payment was made on {made_on}; it can't have been taken back before."
    ),
    # The counter.
    "product_name_invalid": RefusalKind(
        422, "A product's name is 1 to 255 characters of any script, without control characters."
    ),
    "sku_invalid": RefusalKind(422, "A sku is 1 to 64 characters without control characters."),
    "price_invalid": RefusalKind(
        422,
        "The price must be more than zero, in major units, with no more decimals than the currency"
        " has.",
    ),
    "tax_percent_invalid": RefusalKind(
        422, "A tax percent is 0 to 100, a number or decimal string with at most four decimals."
    ),
    "cash_rounding_invalid": RefusalKind(
        422, "Cash rounding is none, floor_to_unit, or nearest_ and a number of minor units."
    ),
    "product_not_found": RefusalKind(404, "No product has this number."),
    "product_retired": RefusalKind(409, "Product {product_id} is not sold any more."),
    "name_taken": RefusalKind(409, "Another active product has this name."),
    "sku_taken": RefusalKind(409, "Another active product has this sku."),
    "stock_insufficient": RefusalKind(
        409, "Of product {product_id} {wanted} are wanted and {available} can be sold."
    ),
    "drawer_currency_differs": RefusalKind(
        409, "The drawer holds {currency}. One drawer has one currency."
    ),
    "purchase_too_large": RefusalKind(
        422, "The purchase adds up to more, or has more lines, than can be booked."
    ),
    "payment_insufficient": RefusalKind(
        409, "The purchase costs {final_amount}; {owed} more is owed."
    ),
    "tender_mismatch": RefusalKind(
        422, "The tendered pieces add up to {tendered}, not to the amount paid."
    ),
    "denomination_unknown": RefusalKind(
        422, "The drawer has no denomination of {value}. Add it first."
    ),
    "denomination_not_found": RefusalKind(404, "The drawer has no denomination of this value."),
    "denomination_taken": RefusalKind(409, "The drawer has this denomination already."),
    "denominations_too_many": RefusalKind(
        409, "A drawer has at most {most} denominations, so that a count can name them all."
    ),
    "denomination_invalid": RefusalKind(
        422,
        "A denomination's value is more than zero, with no more decimals than the currency has.",
    ),
    "change_impossible": RefusalKind(
        409, "The drawer can't give {change} of change exactly. Pay one of the nearest amounts."
    ),
    "sale_line_unfit": RefusalKind(422, "The line can't be sold as it stands: {reason}."),
    "purchase_not_found": RefusalKind(404, "No purchase has this receipt number."),
    "reference_taken": RefusalKind(
        409, "A purchase with this reference is in the book: {purchase_id}."
    ),
    "item_not_in_purchase": RefusalKind(422, "Product {product_id} is not in this purchase."),
    "refund_exceeds_purchase": RefusalKind(
        409, "Of product {product_id} only {refundable} can still be refunded."
    ),
    "nothing_to_refund": RefusalKind(409, "All of this purchase has been refunded."),
    "refund_not_found": RefusalKind(404, "No refund has this number."),
    "drawer_insufficient": RefusalKind(
        409, "The drawer can't give {amount}: neither in exact pieces nor from uncounted cash."
    ),
    "drawer_session_not_found": RefusalKind(404, "No drawer session has this number."),
    "drawer_session_open": RefusalKind(409, "Drawer session {session_id} is open. Close it first."),
    "drawer_session_closed": RefusalKind(409, "This drawer session is closed."),
    # Household bills.
    "types_disagree": RefusalKind(
        422, "This transaction_type goes with message_type {expected}, and with no other."
    ),
    "message_not_found": RefusalKind(404, "No message has this id."),
    "bill_not_found": RefusalKind(404, "No bill has this id."),
    "transaction_not_found": RefusalKind(404, "No transaction has this id."),
    "review_item_not_found": RefusalKind(404, "No review item has this id."),
    "review_item_resolved": RefusalKind(409, "This message does not wait for review."),
    "bill_of_another_customer": RefusalKind(
        409, "The bill and the transaction belong to different customers."
    ),
    "bill_currency_differs": RefusalKind(
        409, "The bill is in {currency}. What is in another currency can't pay it."
    ),
    "bill_set_aside": RefusalKind(409, "No message stands behind this bill any more."),
    "transaction_set_aside": RefusalKind(
        409, "No message stands behind this transaction any more."
    ),
    "transaction_not_a_payment": RefusalKind(409, "Money that came in pays no bill."),
    # The ledger.
    "entry_unbalanced": RefusalKind(422, "The entry's postings do not sum to zero per currency."),
    "entry_customers_differ": RefusalKind(
        422, "The entry's postings name several customers, or the first one does not name theirs."
    ),
    "account_not_found": RefusalKind(404, "The ledger has no account with this id."),
}

REFUSALS: Mapping[str, RefusalKind] = MappingProxyType(_IN_ORDER)


def problem(refusal: Refusal) -> dict[str, object]:
    """Give a refusal the shape that goes over the wire (RFC 9457 problem details)."""
    shape: dict[str, object] = {
        "type": f"urn:tallybook:refusal:{refusal.code}",
        "title": refusal.code.replace("_", " "),
        "status": refusal.kind.status,
        "code": refusal.code,
        "detail": refusal.sentence,
        "retry": refusal.kind.retry,
    }
    if refusal.param is not None:
        shape["param"] = refusal.param
    shape.update({key: value for key, value in refusal.details.items() if key not in shape})
    return shape
