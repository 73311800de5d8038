"""Input that lenient servers take, or break on: each is refused, says why, and changes nothing."""

import json
from collections.abc import Iterator

import pytest

from tallybook.wire.body import BODY_LIMIT
from tests.serving import Served

GOOD = {"name": "Asha", "email": "asha@example.org"}


def text(**fields: str) -> bytes:
    """Write a customer with some fields as raw JSON."""
    raw = {name: json.dumps(value) for name, value in GOOD.items()} | fields
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in raw.items()) + "}").encode()


BAD_BODIES: dict[str, tuple[bytes, int, str, str | None]] = {
    # what it is: the bytes, the status, the code, the field
    "nothing": (b"", 422, "body_malformed", None),
    "not json": (b"name=Asha", 422, "body_malformed", None),
    "two values": (text() + text(), 422, "body_malformed", None),
    "trailing comma": (b'{"name": "A",}', 422, "body_malformed", None),
    "a comment": (b'{"name": "A" /* hi */}', 422, "body_malformed", None),
    "single quotes": (b"{'name': 'A'}", 422, "body_malformed", None),
    "a byte order mark": (b"\xef\xbb\xbf" + text(), 422, "body_malformed", None),
    "UTF-16": (text().decode().encode("utf-16"), 422, "body_malformed", None),
    "invalid UTF-8": (text(name='"\xff"').decode().encode("latin-1"), 422, "body_malformed", None),
    "overlong UTF-8": (b'{"name": "\xc0\xaf"}', 422, "body_malformed", None),
    "a surrogate in UTF-8": (b'{"name": "\xed\xa0\x80"}', 422, "body_malformed", None),
    "half a surrogate pair": (text(name='"\\ud800"'), 422, "body_malformed", None),
    "half a pair in a key": (b'{"\\udc00": 1}', 422, "body_malformed", None),
    "an escaped U+0000": (text(name='"a\\u0000b"'), 422, "body_malformed", None),
    "a raw control character": (text(name='"a\nb"'), 422, "body_malformed", None),
    "a repeated key": (b'{"name": "A", "name": "B"}', 422, "body_malformed", None),
    "a repeated key inside": (text(x='{"a": 1, "a": 2}'), 422, "body_malformed", None),
    "NaN": (text(credit_limit="NaN"), 422, "body_malformed", None),
    "Infinity": (text(credit_limit="-Infinity"), 422, "body_malformed", None),
    "a huge exponent": (text(credit_limit="1e400"), 422, "amount_invalid", "credit_limit"),
    "an exponent past Decimal": (
        text(credit_limit="1e99999999999999999999"),
        422,
        "body_malformed",
        None,
    ),
    "a million digits": (text(credit_limit="9" * 60_000), 422, "body_malformed", None),
    "a long fraction": (text(credit_limit="0." + "1" * 100), 422, "body_malformed", None),
    "too large an amount": (text(credit_limit='"1e18"'), 422, "amount_invalid", "credit_limit"),
    "too many decimals": (text(credit_limit="1.001"), 422, "amount_invalid", "credit_limit"),
    "digits of another script": (
        text(credit_limit='"\u0661\u0662"'),
        422,
        "amount_invalid",
        "credit_limit",
    ),
    "true for an amount": (text(credit_limit="true"), 422, "amount_invalid", "credit_limit"),
    "a list for an amount": (text(credit_limit="[1]"), 422, "amount_invalid", "credit_limit"),
    "deep nesting": (b"[" * 30_000 + b"]" * 30_000, 422, "body_malformed", None),
    "nesting past ours": (b"[" * 40 + b"]" * 40, 422, "body_malformed", None),
    "deep objects": (b'{"a":' * 9_000 + b"1" + b"}" * 9_000, 422, "body_malformed", None),
    "a list": (b"[]", 422, "field_invalid", "body"),
    "null": (b"null", 422, "field_invalid", "body"),
    "a number": (b"1", 422, "field_invalid", "body"),
    "a missing field": (b'{"name": "A"}', 422, "field_invalid", "email"),
    "an unknown field": (text(is_admin="true"), 422, "field_invalid", "is_admin"),
    "a misspelt field": (text(credit_limits="5"), 422, "field_invalid", "credit_limits"),
    "null for a name": (text(name="null"), 422, "field_invalid", "name"),
    "true for a name": (text(name="true"), 422, "field_invalid", "name"),
    "a number for a name": (text(name="12"), 422, "field_invalid", "name"),
    "an empty name": (text(name='""'), 422, "field_invalid", "name"),
    "a blank name": (text(name='"   "'), 422, "name_invalid", "name"),
    "an escape in a name": (text(name='"a\\u001b[2J"'), 422, "name_invalid", "name"),
    "a line break in a name": (text(name='"a\\nb"'), 422, "name_invalid", "name"),
    "a long name": (text(name=json.dumps("x" * 201)), 422, "name_invalid", "name"),
    "an e-mail that is none": (text(email='"asha"'), 422, "email_invalid", "email"),
    "two at signs": (text(email='"a@b@c"'), 422, "email_invalid", "email"),
    "a header in an e-mail": (text(email='"a@b.c\\r\\nBcc: x@y.z"'), 422, "email_invalid", "email"),
    "an account as a number": (
        text(bank_accounts="[123456]"),
        422,
        "field_invalid",
        "bank_accounts.0",
    ),
    "an account of letters": (
        text(bank_accounts='["12345", "\u0967\u0968\u0969\u096a"]'),
        422,
        "bank_account_invalid",
        "bank_accounts.1",
    ),
    "a short account": (
        text(bank_accounts='["123"]'),
        422,
        "bank_account_invalid",
        "bank_accounts.0",
    ),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused(standing_on_sqlite: Served, name: str) -> None:
    content, status, code, field = BAD_BODIES[name]

    refused = standing_on_sqlite.post("/api/v1/customers", content=content)

    assert (refused.status, refused.code) == (status, code)
    assert refused.json().get("param") == field
    assert standing_on_sqlite.get("/api/v1/customers").json()["data"] == []
    assert standing_on_sqlite.get("/api/v1/events").json()["data"] == []


def test_the_good_one_is_good(served_on_sqlite: Served) -> None:
    """Or the table above would prove nothing."""
    assert served_on_sqlite.post("/api/v1/customers", content=text()).status == 201


def test_all_faults_are_named_and_nothing_is_repeated(served_on_sqlite: Served) -> None:
    content = b'{"name": 5551234567, "bank_accounts": [5551234567], "secret": "5551234567"}'
    refused = served_on_sqlite.post("/api/v1/customers", content=content)
    assert {error["param"] for error in refused.json()["errors"]} == {
        "name",
        "email",
        "bank_accounts.0",
        "secret",
    }
    assert b"5551234567" not in refused.body


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"amount": ' + b"9" * 400 + b"}", "a number has more than 30 digits"),
        (b'{"amount": 0.' + b"9" * 400 + b"}", "a number has more than 60 characters"),
        (b"[" * 5_000 + b"]" * 5_000, "it is nested deeper than 32 levels"),
        (b'{"amount": NaN}', "NaN is not JSON"),
    ],
)
def test_what_is_json_and_not_taken_is_not_called_something_else(
    served_on_sqlite: Served, content: bytes, sentence: str
) -> None:
    refused = served_on_sqlite.post("/api/v1/customers", content=content)
    assert refused.code == "body_malformed"
    assert sentence in refused.json()["detail"]


# -- size ------------------------------------------------------------------------------------------


def test_ten_megabytes_are_refused_by_their_announcement(served_on_sqlite: Served) -> None:
    refused = served_on_sqlite.post("/api/v1/customers", content=b" " * 10_000_000)
    assert (refused.status, refused.code) == (413, "body_too_large")
    assert refused.json()["limit"] == BODY_LIMIT


def test_a_stream_without_an_end_is_refused_while_it_comes(served_on_sqlite: Served) -> None:
    sent = 0

    def stream() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield b" " * 8_192

    try:
        refused = served_on_sqlite.post("/api/v1/customers", content=stream())
    except (BrokenPipeError, ConnectionResetError):
        assert sent < 10_000  # the server has hung up: that is an answer as well
    else:
        assert (refused.status, refused.code) == (413, "body_too_large")


def test_a_body_of_just_the_limit_is_read(served_on_sqlite: Served) -> None:
    content = text().rstrip(b"}") + b" " * (BODY_LIMIT - len(text())) + b"}"
    assert len(content) == BODY_LIMIT
    assert served_on_sqlite.post("/api/v1/customers", content=content).status == 201
    longer = served_on_sqlite.post("/api/v1/customers", content=content + b" ")
    assert longer.code == "body_too_large"


# -- type ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=latin-1",
        "application/merge-patch+json",
        "",
    ],
)
def test_another_type_is_refused(standing_on_sqlite: Served, given: str) -> None:
    refused = standing_on_sqlite.post(
        "/api/v1/customers", content=text(), headers={"Content-Type": given}
    )
    assert (refused.status, refused.code) == (415, "content_type_unsupported")


def test_a_packed_body_is_refused(standing_on_sqlite: Served) -> None:
    for encoding in ("gzip", "br", "identity, gzip"):
        headers = {"Content-Encoding": encoding}
        refused = standing_on_sqlite.post("/api/v1/customers", content=text(), headers=headers)
        assert (refused.status, refused.code) == (415, "content_type_unsupported")


@pytest.mark.parametrize(
    "given", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"']
)
def test_json_is_taken_however_it_is_announced(served_on_sqlite: Served, given: str) -> None:
    made = served_on_sqlite.post(
        "/api/v1/customers", content=text(), headers={"Content-Type": given}
    )
    assert made.status == 201


# -- address and query -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/nothing", 404, "not_found"),
        ("/api/v1/customers/", 404, "not_found"),
        ("/api/v1/customers/cus_1", 404, "id_invalid"),
        ("/api/v1/customers/adv_" + "0" * 32, 404, "id_invalid"),
        ("/api/v1/customers/cus_" + "0" * 32, 404, "customer_not_found"),
        ("/api/v1/customers/cus_" + "0" * 31 + "%00", 404, "id_invalid"),
        ("/api/v1/customers/%ff%fe", 404, "id_invalid"),
        ("/api/v1/customers?limit=0", 422, "field_invalid"),
        ("/api/v1/customers?limit=101", 422, "field_invalid"),
        ("/api/v1/customers?limit=ten", 422, "field_invalid"),
        ("/api/v1/customers?limit=1&limit=2", 422, "field_invalid"),
        ("/api/v1/customers?limits=1", 422, "field_invalid"),
        ("/api/v1/customers?status=dormant", 422, "field_invalid"),
        ("/api/v1/customers?starting_after=7", 422, "field_invalid"),
        ("/api/v1/customers?starting_after=%00", 422, "field_invalid"),
        ("/api/v1/customers?email=a%00@b.c", 422, "field_invalid"),
        ("/api/v1/customers?email=nobody", 422, "email_invalid"),
        ("/api/v1/ledger/accounts?starting_after=x", 422, "field_invalid"),
        ("/api/v1/ledger/accounts?starting_after=" + "9" * 40, 422, "field_invalid"),
        ("/api/v1/ledger/accounts?as_of=2026-02-30", 422, "date_invalid"),
        ("/api/v1/ledger/accounts?as_of=2026-02-03T00:00:00Z", 422, "date_invalid"),
        ("/api/v1/ledger/accounts?as_of=9999-12-31", 422, "date_invalid"),
        ("/api/v1/ledger/accounts/7/statement", 404, "account_not_found"),
        ("/api/v1/ledger/accounts/x/statement", 404, "id_invalid"),
        ("/api/v1/ledger/accounts/" + "9" * 30 + "/statement", 404, "id_invalid"),
        ("/api/v1/ledger/accounts?as_of=2026-W48-1", 422, "date_invalid"),
        ("/api/v1/advances?customer_id=zzz", 422, "field_invalid"),
        ("/api/v1/loans?customer_id=zzz", 422, "field_invalid"),
        ("/api/v1/bills?customer_id=zzz", 422, "field_invalid"),
        ("/api/v1/bill-accounts?customer_id=zzz", 422, "field_invalid"),
        ("/api/v1/messages?customer_id=zzz", 422, "field_invalid"),
        ("/api/v1/transactions?customer_id=zzz", 422, "field_invalid"),
        ("/api/v1/review-items?customer_id=zzz", 422, "field_invalid"),
        ("/api/v1/events?after=-1", 422, "field_invalid"),
        ("/api/v1/events?after=" + "9" * 5_000, 422, "field_invalid"),
    ],
)
def test_a_bad_address_is_refused(standing: Served, path: str, status: int, code: str) -> None:
    refused = standing.get(path)
    assert (refused.status, refused.code) == (status, code)


@pytest.mark.parametrize("number", [2**31 - 1, 2**31, 2**63 - 1, 2**63])
def test_no_page_starts_after_what_no_column_holds(standing: Served, number: int) -> None:
    document = standing.get("/openapi.json").json()
    paths = [
        path
        for path, methods in document["paths"].items()
        if "{" not in path
        and "starting_after"
        in {parameter["name"] for parameter in methods.get("get", {}).get("parameters", ())}
    ]
    assert len(paths) > 10
    for path in paths:
        answer = standing.get(f"{path}?starting_after={number}")
        assert (answer.status, answer.code) in {(200, None), (422, "field_invalid")}, (path, answer)


def test_a_write_takes_no_query(standing_on_sqlite: Served) -> None:
    refused = standing_on_sqlite.post("/api/v1/customers?name=B", GOOD)
    assert (refused.code, refused.json()["param"]) == ("field_invalid", "name")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "PUT", "OPTIONS", "TRACE"])
def test_a_method_that_is_not_taken_is_named(standing_on_sqlite: Served, method: str) -> None:
    refused = standing_on_sqlite.send(method, "/api/v1/customers")
    assert (refused.status, refused.code) == (405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD, POST"


def test_a_head_is_answered_as_a_get_without_its_body(standing_on_sqlite: Served) -> None:
    asked = standing_on_sqlite.get("/api/v1/customers")
    head = standing_on_sqlite.send("HEAD", "/api/v1/customers")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(asked.body))
    assert standing_on_sqlite.send("HEAD", "/api/v1/perform_advance").status == 405
