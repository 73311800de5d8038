"""Past sales in the book, put there in bulk by the database's own means.

Numbers, sums and pieces are as the engine would have left them; the hash chains are not, so a book
filled this way is for measuring and not for `tallybook verify`.
"""

from sqlalchemy import create_engine, text

_SERIES = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s"
    " WHERE n < {last})",
    "postgresql": "WITH s AS (SELECT generate_series({first}, {last}) AS n)",
}
_SUBJECT = {
    "sqlite": "printf('%032x', s.n + 100000000)",
    "postgresql": "lpad(to_hex(s.n + 100000000), 32, '0')::uuid",
}
_PURCHASES = """
INSERT INTO purchases (number, subject_id, customer_id, customer_email, currency, total_minor,
  tax_minor, rounding_minor, final_minor, paid_minor, tendered, change, cash_rounding,
  rules_version, sold_on, recorded_at, session_number, is_imported, reference, hash)
{series}
SELECT s.n, {subject}, c.id, c.email, 'USD', 900, 100, 0, 1000, 1000, NULL, '', 'none', 1,
  '2026-01-01', {now}, NULL, {true}, NULL, '{hash}'
FROM s JOIN (SELECT id, email, row_number() OVER (ORDER BY id) AS place FROM customers) c
  ON c.place = s.n % {customers} + 1
"""
_ITEMS = """
INSERT INTO purchase_items (purchase_number, line, product_id, name, sku, quantity,
  unit_price_minor, tax_ppm, tax_inclusive, amount_minor, tax_minor)
{series}
SELECT s.n, l.line, s.n % 100 + 1, 'a product of the past', NULL, 1, 450, 0, {false}, 450, 50
FROM s CROSS JOIN (SELECT 1 AS line UNION ALL SELECT 2) l
"""
CHUNK = 100_000


def fill_past(url: str, count: int) -> None:
    """Put so many past sales of two lines each into a book that has customers and products."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    kind = engine.dialect.name
    with engine.connect() as connection:
        start = connection.execute(text("SELECT purchases_count FROM drawers")).scalar_one()
        customers = connection.execute(text("SELECT count(*) FROM customers")).scalar_one()
    words = {
        "subject": _SUBJECT[kind],
        "now": "'2026-01-01T00:00:00.000000Z'",
        "true": "1" if kind == "sqlite" else "true",
        "false": "0" if kind == "sqlite" else "false",
        "hash": "0" * 64,
        "customers": customers,
    }
    for first in range(start + 1, start + count + 1, CHUNK):
        last = min(first + CHUNK - 1, start + count)
        series = _SERIES[kind].format(first=first, last=last)
        with engine.begin() as connection:
            connection.execute(text(_PURCHASES.format(series=series, **words)))
            connection.execute(text(_ITEMS.format(series=series, **words)))
            connection.execute(text("UPDATE drawers SET purchases_count = :n"), {"n": last})
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    engine.dispose()
