"""Mutated files and texts at everything that reads what comes from outside.

A reader reads or refuses; it never breaks, hangs, or makes an amount, a date or an id out of
nothing. Seeds repeat: the n-th input of a seed is always the same.
"""

from __future__ import annotations

import io
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

from tallybook.advances.tasks.import_lines import COLUMNS as ADVANCE_COLUMNS
from tallybook.advances.tasks.import_lines import parse_line
from tallybook.ambient.secrets import Secrets
from tallybook.bills.operations.inbox import read_line
from tallybook.bills.reading.reader import Reader, load_reader
from tallybook.kernel.money import MINOR_MAX
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Result
from tallybook.processor.report_reader import ReportStream
from tallybook.retail.model import CounterTerms
from tallybook.retail.tasks import catalogue, sale_lines
from tallybook.wire.csv_reader import CsvColumns, CsvLine, CsvReader

SEEN_ON = date(2026, 6, 15)
RECEIVED_AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
TERMS = CounterTerms("USD", "none")
PIECES = (
    "\x00", "\r", "\n", "\u2028", "\u202e", "\ufeff", "\ud83d\ude00", "\u0661", ",", ";", '"',
    "#end,", "NaN", "-", "+", "1e400", "9" * 40, "0" * 60, "Rs.", "INR ", "due ", "31/02/2026",
    "=1+1", "OTP ", "   ", "{", "}", "\\u0000", "amount", "\t", "\u00a0", "%", "()" * 50,
)  # fmt: skip
REPORTS = (
    "transaction_id,result\ntxn_1,success\ntxn_2,fail\n#end,2\n",
    (
        "transaction_id,result,amount,account,direction,date,reason\n"
        "txn_1,success,12.50,CZ1,debit,2026-06-14,\n"
        "txn_2,fail,1.00,CZ2,credit,2026-06-15,no funds\n#end,2\n"
    ),
)
ADVANCES = (
    "bank_account,amount,effective_on,installments,interval_days,fee,customer_name,customer_email\n"
    "CZ9999000000000001,150.00,2026-03-02,12,7,0,Asha,asha@example.org\n"
    "CZ9999000000000002,20,2026-03-03,2,1,1.50,,\n"
)
PRODUCTS = "name,stock,price,tax_percent,sku\nTea,10,2.50,5,TEA\nCup,3,12.99,20,CUP\n"
SALES = (
    "reference,sku,name,quantity,unit_price,sold_on,customer\n"
    "A1,TEA,Tea,2,2.50,2026-02-01,7\nC1,TEA,Tea,-1,2.50,2026-02-03,7\n"
)
MESSAGE = '{"body": "Your bill is Rs.120.00 due 20-06-2026", "sender": "AX-TEST", "source_id": "s"}'
TEXTS = Path(__file__).parents[1] / "unit" / "bills" / "messages.toml"


def mutate(text: str, dice: Random) -> str:
    """Change a text in a few places."""
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at, to = sorted((dice.randint(0, len(text)), dice.randint(0, len(text))))
        match dice.randrange(6):
            case 0:
                text = text[:at] + dice.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[to:]
            case 2:
                text = text[:to] + text[at:to] + text[to:]
            case 3:
                text = text[:at] + chr(dice.randrange(32, 0x2FF)) + text[at + 1 :]
            case 4:
                text = text[:at] + "".join(dice.sample(text[at:to], to - at)) + text[to:]
            case _:
                text = text[:at]
    return text[:20_000]


def to_bytes(text: str, dice: Random) -> bytes:
    """Write a text as somebody's program might."""
    encoding = dice.choice(("utf-8", "utf-8", "utf-8", "utf-16", "latin-1", "cp1250", "utf-8-sig"))
    raw = text.encode(encoding, errors="replace")
    if raw and dice.random() < 0.2:
        at = dice.randrange(len(raw))
        raw = raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]
    return raw


class Readers:
    """All readers, and what each of them is given."""

    def __init__(self, home: Path) -> None:
        self._secrets = Secrets.load_or_create(home / "fuzz.key")
        self._reader: Reader = load_reader(prove_samples=False)
        told = tomllib.loads(TEXTS.read_text(encoding="utf-8"))["message"]
        self._texts = [(each["text"], each.get("sender")) for each in told]
        self.all: dict[str, Callable[[Random], Iterator[str]]] = {
            "message reader": self._message,
            "inbox lines": self._inbox_line,
            "report reader": self._report,
            "CSV of advances": self._advances,
            "CSV of products": self._products,
            "CSV of sales": self._sales,
        }

    def try_one(self, seed: int) -> list[str]:
        """Give one mutated input to the reader whose turn it is; says what was wrong."""
        name = list(self.all)[seed % len(self.all)]
        try:
            return [f"{name}, seed {seed}: {wrong}" for wrong in self.all[name](Random(seed))]
        except Exception as broken:  # noqa: BLE001 - a reader never breaks, whatever it reads
            return [f"{name}, seed {seed}: it broke: {broken!r}"]

    def _message(self, dice: Random) -> Iterator[str]:
        text, sender = dice.choice(self._texts)
        body = mutate(text, dice)
        reading = self._reader.read(
            body, dice.choice((sender, None, mutate("AX-X", dice))), SEEN_ON
        )
        for amount in (reading.amount_minor, reading.minimum_minor):
            if amount is not None and not 0 <= amount <= MINOR_MAX:
                yield f"an amount of {amount} out of {body!r}"
        for day in (reading.bill_on, reading.due_on, reading.paid_on):
            if day is not None and not 1900 <= day.year <= 2200:
                yield f"a date of {day} out of {body!r}"

    def _inbox_line(self, dice: Random) -> Iterator[str]:
        line = to_bytes(mutate(MESSAGE, dice), dice)
        raw, why = read_line(line, "0" * 32, RECEIVED_AT)
        if (raw is None) != bool(why):
            yield f"neither a message nor a reason: {line!r}"

    def _report(self, dice: Random) -> Iterator[str]:
        original = dice.choice(REPORTS)
        raw = to_bytes(mutate(original, dice), dice)
        stream = ReportStream(raw)
        for row in (row for rows in stream for row in rows):
            if not (0 < len(row.transaction_id) <= 255 and row.transaction_id.isprintable()):
                yield f"a transaction id of {row.transaction_id!r} out of {raw!r}"
            if row.result not in Result:
                yield f"a result of {row.result!r} out of {raw!r}"
        if stream.ended and b"#" not in raw:
            yield f"complete without a trailer: {raw!r}"

    def _advances(self, dice: Random) -> Iterator[str]:
        for line in self._lines(ADVANCES, ADVANCE_COLUMNS, dice):
            try:
                asked = parse_line(line, self._secrets, "USD").asked
            except Refused:
                continue
            if not (0 < asked.amount_minor <= MINOR_MAX and asked.fee_minor >= 0):
                yield f"an advance of {asked.amount_minor} out of {line}"

    def _products(self, dice: Random) -> Iterator[str]:
        for line in self._lines(PRODUCTS, catalogue.COLUMNS, dice):
            try:
                product = catalogue.read_product(line, "USD")
            except Refused:
                continue
            if not (0 < product.price_minor <= MINOR_MAX and product.stock >= 0):
                yield f"a product of {product.price_minor} out of {line}"

    def _sales(self, dice: Random) -> Iterator[str]:
        for line in self._lines(SALES, sale_lines.COLUMNS, dice):
            read = sale_lines._read(line, TERMS, SEEN_ON).line
            if read is not None and not 0 <= read.price_minor <= MINOR_MAX:
                yield f"a price of {read.price_minor} out of {line}"

    def _lines(self, text: str, columns: CsvColumns, dice: Random) -> Iterator[CsvLine]:
        raw = to_bytes(mutate(text, dice), dice)
        try:
            yield from CsvReader(io.BytesIO(raw), columns)
        except Refused:
            return
