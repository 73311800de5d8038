"""What a loan owes, worked out the slow way: dictionaries and loops, and nothing of Tallybook's.

Written from rules L1 to L10 alone, so that it can be wrong only in ways of its own. A loan, a row
and a payment are dictionaries; amounts are in minor units.
"""

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

Loan = dict[str, Any]
"""principal, rate (percent, as text), installments, interval, start_on, unit, policy, after; and
what was spent of the credit that it gave, once some was."""
Payment = dict[str, Any]
"""amount, effective_on, status (paid, pending, failed), reversed_on (None while it stands), for
`exact` the row that it is for, and once it was taken back what is owed again because of it."""
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
    again = owed_again_on(loan, payments, as_of)
    uses: dict[int, Found] = {}
    if loan["policy"] == "exact":
        for payment in there:
            uses[id(payment)] = {"rows": [payment["row"]], "credit": 0, "again": 0}
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
            use = pour(rows, payment, again)
            again -= use["again"]
            credit += use["credit"]
            uses[id(payment)] = use
    return {**summed_up(loan, rows, again, credit, as_of), "uses": uses}


def owed_again_on(loan: Loan, payments: list[Payment], as_of: date) -> int:
    """Add up what is owed again because of the payments that were taken back by a day.

    No more than what had come by then, with what was taken back since, was over what is owed: who
    had been given no credit yet could not spend any. It matters where it is told late that a
    payment was taken back before the one came that gave the credit.
    """
    again = came = 0
    for payment in payments:
        if payment["status"] == "paid" and payment["effective_on"] <= as_of:
            came += payment["amount"]
        if payment["reversed_on"] is not None and payment["reversed_on"] <= as_of:
            again += payment.get("again", 0)
    return min(again, max(0, came - sum(row["amount"] for row in make_rows(loan))))


def pour(rows: list[Row], payment: Payment, again: int) -> Found:
    """Pour a payment: over what is owed again, then over the rows, the oldest first.

    What is left of it is credit. Tells how much went where, and into which rows.
    """
    left: int = payment["amount"]
    use: Found = {"rows": [], "again": min(left, again)}
    left -= use["again"]
    for row in rows:
        if left > 0 and row["paid"] < row["amount"]:
            use["rows"].append(row["number"])
        for part, of in (("interest_paid", "interest"), ("principal_paid", "principal")):
            open_part = row[of] - row.get(part, 0)
            taken = min(left, open_part)
            if taken > 0:
                row[part] = row.get(part, 0) + taken
                row["paid"] += taken
                left -= taken
                if row["paid"] == row["amount"]:
                    row["paid_on"] = payment["effective_on"]
    return {**use, "credit": left}


def summed_up(loan: Loan, rows: list[Row], again: int, credit: int, as_of: date) -> Found:
    """Add up what is owed, and count what is missed."""
    outstanding = again
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
        "owed_again": again,
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


# -- credit that is spent, and payments that bounce (L7, G) ---------------------------------------

FAR = date(9999, 1, 1)


def given(loan: Loan, payments: list[Payment]) -> int:
    """Add up the credit that a loan has given and that it was not taken back from anybody."""
    credit: int = look(loan, payments, FAR)["credit"]
    return credit + sum(payment.get("again", 0) for payment in payments)


def held(loan: Loan, payments: list[Payment]) -> int:
    """Tell what is left to spend of the credit that a loan has given."""
    if loan["policy"] == "exact":
        return 0  # no other amount than a row's is taken, so that nothing is ever too much
    return given(loan, payments) - int(loan.get("spent", 0))


def spend(loan: Loan, amount: int) -> None:
    """Spend credit on something else."""
    loan["spent"] = loan.get("spent", 0) + amount


def take_back(loan: Loan, payments: list[Payment], payment: Payment, day: date) -> None:
    """Let a payment bounce; credit that was spent can't be had back, so it is owed again.

    What is still too much of other payments goes to what is owed again, and is credit no more; so
    that much more is owed again than is missing.
    """
    payment["reversed_on"], payment["again"] = day, 0
    missing = -held(loan, payments)
    if missing > 0:
        payment["again"] = missing + look(loan, payments, FAR)["credit"]
        assert held(loan, payments) == 0
