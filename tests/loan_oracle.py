"""What a loan owes, worked out the slow way: dictionaries and loops, and nothing of Tallybook's.

Written from rules L1 to L10 alone, so that it can be wrong only in ways of its own. A loan, a row
and a payment are dictionaries; amounts are in minor units.
"""

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

Loan = dict[str, Any]
"""principal, rate (percent, as text), installments, interval, start_on, unit, policy, after."""
Payment = dict[str, Any]
"""amount, effective_on, status (paid, pending, failed), reversed_on (None while it stands), and for
`exact` the row that it is for."""
Row = dict[str, Any]
Found = dict[str, Any]


# -- the schedule (L1, L2) ------------------------------------------------------------------------


def interest_of(loan: Loan) -> int:
    """Take the flat interest of the whole term, half a minor unit and more going up."""
    exact = Fraction(loan["principal"]) * Fraction(loan["rate"]) / 100
    whole = exact.numerator // exact.denominator
    return whole + 1 if exact - whole >= Fraction(1, 2) else whole


def share_out(total: int, parts: int, unit: int) -> list[int]:
    """Deal whole units out, to the first rows more where it does not come out even."""
    units, left_over = total // unit, total % unit
    shares: list[int] = []
    for rows_to_come in range(parts, 0, -1):
        share = 0 if units == 0 else 1 + (units - 1) // rows_to_come
        shares.append(share * unit)
        units -= share
    assert units == 0
    shares[-1] += left_over
    return shares


def due_on(loan: Loan, number: int) -> date:
    """Count intervals from the start, by the calendar."""
    start: date = loan["start_on"]
    if loan["interval"] == "weekly":
        return start + timedelta(days=7 * number)
    if loan["interval"] == "biweekly":
        return start + timedelta(days=14 * number)
    year, month = start.year, start.month
    for _ in range(number):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    day = start.day
    while True:
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1


def make_rows(loan: Loan) -> list[Row]:
    """Give the schedule with nothing paid; it is worked out once a loan, to save time."""
    if "rows" not in loan:
        loan["rows"] = lay_out(loan)
    return [{**row} for row in loan["rows"]]


def lay_out(loan: Loan) -> list[Row]:
    """Lay the schedule out."""
    interest = interest_of(loan)
    count: int = loan["installments"]
    amounts = share_out(loan["principal"] + interest, count, loan["unit"])
    interests = share_out(interest, count, loan["unit"])
    return [
        {
            "number": number,
            "due_on": due_on(loan, number),
            "amount": amounts[number - 1],
            "interest": interests[number - 1],
            "principal": amounts[number - 1] - interests[number - 1],
            "paid": 0,
            "interest_paid": 0,
            "paid_on": None,
        }
        for number in range(1, count + 1)
    ]


# -- as of a date (L4-L7) -------------------------------------------------------------------------


def counts(payment: Payment, as_of: date) -> bool:
    """Tell whether a payment was there on a day."""
    if payment["status"] != "paid" or payment["effective_on"] > as_of:
        return False
    return payment["reversed_on"] is None or payment["reversed_on"] > as_of


def look(loan: Loan, payments: list[Payment], as_of: date) -> Found:
    """Tell everything about a loan as of a date. `payments` come in their order of arrival."""
    rows = make_rows(loan)
    there = [payment for payment in payments if counts(payment, as_of)]
    credit = 0
    if loan["policy"] == "exact":
        for payment in there:
            for row in rows:
                if row["number"] == payment["row"]:
                    # Two may count for a row on a past day: one that was taken back after that
                    # day, and its backdated successor. The row is paid once, from the earlier on.
                    row["paid"], row["interest_paid"] = row["amount"], row["interest"]
                    if row["paid_on"] is None or payment["effective_on"] < row["paid_on"]:
                        row["paid_on"] = payment["effective_on"]
    else:
        # Python sorts stably: on one day they stay in their order of arrival.
        for payment in sorted(there, key=lambda each: each["effective_on"]):
            credit += pour(rows, payment)
    return summed_up(loan, rows, credit, as_of)


def pour(rows: list[Row], payment: Payment) -> int:
    """Pour a payment over the rows, the oldest first; gives what is left of it."""
    left: int = payment["amount"]
    for row in rows:
        for part, of in (("interest_paid", "interest"), ("principal_paid", "principal")):
            open_part = row[of] - row.get(part, 0)
            taken = min(left, open_part)
            if taken > 0:
                row[part] = row.get(part, 0) + taken
                row["paid"] += taken
                left -= taken
                if row["paid"] == row["amount"]:
                    row["paid_on"] = payment["effective_on"]
    return left


def summed_up(loan: Loan, rows: list[Row], credit: int, as_of: date) -> Found:
    """Add up what is owed, and count what is missed."""
    outstanding = 0
    longest = in_a_row = days = 0
    for row in rows:
        outstanding += row["amount"] - row["paid"]
        row["status"] = "paid" if row["paid"] == row["amount"] else "pending"
        row["missed"] = row["status"] == "pending" and row["due_on"] < as_of
        in_a_row = in_a_row + 1 if row["missed"] else 0
        longest = max(longest, in_a_row)
        if row["missed"] and days == 0:
            days = (as_of - row["due_on"]).days
    return {
        "rows": rows,
        "outstanding": outstanding,
        "interest_left": sum(row["interest"] - row["interest_paid"] for row in rows),
        "credit": credit,
        "status": "closed" if outstanding == 0 else "active",
        "missed_in_a_row": longest,
        "is_delinquent": longest >= loan["after"],
        "days_past_due": days,
        "bucket": bucket_of(days),
    }


def bucket_of(days: int) -> str:
    """Name the bucket of so many days past due."""
    for most, name in ((0, "current"), (30, "1-30"), (60, "31-60"), (90, "61-90")):
        if days <= most:
            return name
    return "91+"


# -- what is taken, and what is turned away (L5, L7) ----------------------------------------------


def held_rows(payments: list[Payment]) -> list[int]:
    """List the rows that exact payments stand for; a pending one reserves its row."""
    return [
        payment["row"]
        for payment in payments
        if payment["status"] != "failed" and payment["reversed_on"] is None
    ]


def oldest_unpaid(loan: Loan, payments: list[Payment]) -> Row | None:
    """Find the row that an exact payment is for: the first that none stands for."""
    held = held_rows(payments)
    for row in make_rows(loan):
        if row["number"] not in held:
            return row
    return None


def offer(
    loan: Loan, payments: list[Payment], payment: Payment, number: int | None = None
) -> str | None:
    """Take a payment in at the end of `payments`, or give the code that it is refused with."""
    if payment["effective_on"] < loan["start_on"]:
        return "payment_before_loan"
    if loan["policy"] == "exact":
        row = oldest_unpaid(loan, payments)
        if row is None:
            return "loan_closed"
        if number is not None and number < row["number"]:
            return "installment_already_paid"
        if number is not None and number > row["number"]:
            taken = number in held_rows(payments)
            return "installment_already_paid" if taken else "installment_not_next"
        if payment["amount"] != row["amount"]:
            return "payment_amount_mismatch"
        payment["row"] = row["number"]
    payments.append(payment)
    return None
