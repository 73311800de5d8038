"""What may happen to a loan, drawn from a seed, and told to the oracle as it happens.

Payments are late, early, in part and too large, reversed and told of late; some fail or wait. Of
the credit that they give some is spent elsewhere, before or after they bounce.
"""

from collections import Counter
from datetime import date, timedelta
from random import Random

from tests import loan_oracle as oracle

RATES = ("0", "10", "7.25", "0.01", "33.3333", "100", "12.5")
INTERVALS = ("weekly", "biweekly", "monthly")
ANY_STATUS = (*("paid",) * 8, "pending", "failed")


def draw_loan(draw: Random, *, installments_most: int, policy: str = "exact") -> oracle.Loan:
    """Draw terms that can be had: each row has at least one whole unit."""
    installments = draw.randint(1, installments_most)
    unit = draw.choice((1, 1, 1, 10, 100, 50_00))
    least = installments * unit
    return {
        "principal": least + draw.randint(0, draw.choice((10, 1_000, 1_000_000, 10**12))),
        "rate": draw.choice(RATES),
        "installments": installments,
        "interval": draw.choice(INTERVALS),
        "start_on": date(2020, 1, 1) + timedelta(days=draw.randrange(1_500)),
        "unit": unit,
        "policy": policy,
        "after": draw.choice((2, 2, 2, 1, 3)),
    }


class History:
    """What happened to one loan, in the order in which it was told of."""

    def __init__(
        self,
        draw: Random,
        loan: oracle.Loan,
        seen: Counter[str],
        statuses: tuple[str, ...] = ANY_STATUS,
    ) -> None:
        self.draw = draw
        self.loan = loan
        self.seen = seen
        self.statuses = statuses
        self.payments: list[oracle.Payment] = []
        self.told: list[tuple[oracle.Payment, str]] = []
        """Each payment that was offered and what became of it: `taken`, `reversed`, or a code. What
        is `spent` is no payment, but an amount of credit."""
        self.today: date = loan["start_on"]
        rows = oracle.make_rows(loan)
        self.step: int = max(1, (rows[-1]["due_on"] - self.today).days * 2 // 12)
        self.total: int = sum(row["amount"] for row in rows)
        self.middle: int = self.total // len(rows)

    def live(self, count: int) -> None:
        """Let so many things happen."""
        for _ in range(count):
            self.today += timedelta(days=self.draw.randrange(self.step + 1))
            standing = [
                payment
                for payment in self.payments
                if payment["status"] == "paid" and payment["reversed_on"] is None
            ]
            if standing and self.draw.random() < 0.25:
                self.bounce(self.draw.choice(standing))
            elif self.draw.random() < 0.5 and (held := oracle.held(self.loan, self.payments)):
                self.spend(self.draw.choice((held, self.draw.randint(1, held))))
            else:
                self.pay()

    def bounce(self, payment: oracle.Payment) -> None:
        """Take a payment back: today, or on an earlier day that is only told of now."""
        days = (self.today - payment["effective_on"]).days
        back = self.draw.randrange(days + 1) if self.draw.random() < 0.3 else 0
        oracle.take_back(self.loan, self.payments, payment, self.today - timedelta(days=back))
        self.told.append((payment, "reversed"))
        self.seen["reversed"] += 1
        self.seen["owed again"] += payment["again"] > 0

    def spend(self, amount: int) -> None:
        """Spend credit on something else than this loan."""
        oracle.spend(self.loan, amount)
        self.told.append(({"amount": amount}, "spent"))
        self.seen["spent"] += 1

    def pay(self) -> None:
        """Offer a payment: of today, or of an earlier day that is only told of now."""
        days = (self.today - self.loan["start_on"]).days
        back = self.draw.randrange(days + 1) if self.draw.random() < 0.4 else 0
        status = self.draw.choice(self.statuses)
        payment: oracle.Payment = {
            "amount": self.amount(),
            "effective_on": self.today - timedelta(days=back),
            "status": status,
            "reversed_on": None,
        }
        refused = oracle.offer(self.loan, self.payments, payment)
        self.told.append((payment, refused or "taken"))
        if refused is None:
            payment["answer"] = self.answer(payment)
        self.seen[refused or status] += 1
        self.seen["backdated"] += back > 0

    def answer(self, payment: oracle.Payment) -> oracle.Found | None:
        """Tell what a payment that counts was for, as it is answered: before anything else came."""
        found: oracle.Found = oracle.look(self.loan, self.payments, oracle.FAR)
        use = found["uses"].get(id(payment))
        return use and {**use, "outstanding": found["outstanding"]}

    def amount(self) -> int:
        if self.loan["policy"] == "exact":
            row = oracle.oldest_unpaid(self.loan, self.payments)
            amount: int = row["amount"] if row else self.middle
            return amount + (self.draw.random() < 0.1)
        most = self.draw.choice((self.middle, self.middle * 2, self.total, self.total * 2))
        if any(payment.get("again") for payment in self.payments) and self.draw.random() < 0.5:
            owed: int = oracle.look(self.loan, self.payments, oracle.FAR)["outstanding"]
            return owed or 1  # all that is owed, with what is owed again
        return self.draw.choice((self.middle, self.draw.randint(1, max(1, most))))

    def days(self, count: int) -> list[date]:
        """Choose days to look at: those on which something changes, and any."""
        edges = [row["due_on"] + timedelta(days=1) for row in self.loan["rows"]]
        for payment in self.payments:
            edges += [payment["effective_on"], payment["reversed_on"] or payment["effective_on"]]
        far = self.today + timedelta(days=120)
        any_day = self.loan["start_on"] + timedelta(
            days=self.draw.randrange((far - self.loan["start_on"]).days)
        )
        return [self.today, any_day, *self.draw.choices(edges, k=count - 2)]


def draw_history(
    number: int, seen: Counter[str], statuses: tuple[str, ...] = ANY_STATUS
) -> History:
    """Draw the history of one loan: exact payments for even numbers, flexible ones for odd."""
    draw = Random(number)
    policy = ("exact", "flexible")[number % 2]
    history = History(draw, draw_loan(draw, installments_most=10, policy=policy), seen, statuses)
    history.live(draw.randint(1, 16))
    return history
