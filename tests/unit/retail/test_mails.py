"""Mails on their way out: to a server, encrypted or not, and into a folder. R10."""

import ssl
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tallybook.kernel.frozen import replace
from tallybook.retail.model import Purchase
from tallybook.retail.tasks.mails import PasswordInClear, send_by_smtp, send_to_spool, write_invoice
from tests.mail_server import MailServer, mail_server

LOGIN = "AUTH PLAIN " + b64encode(b"\0till\0pass word").decode()
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PURCHASE = Purchase(
    1, "ab" * 16, None, None, "USD", 100, 0, 0, 100, 100, None, "", "none", 1,
    NOON.date(), NOON, None, False, None, "",
)  # fmt: skip


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """Encrypts as 127.0.0.1, by a certificate of its own that nobody trusts yet."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=mail")
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "certificate").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    return context


@pytest.fixture
def trusted(tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Let this machine trust that certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    return tls


def a_mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "till@example.org", "a@example.org"
    message.set_content("what was bought")
    return message


def with_login(mail: MailServer, scheme: str = "smtp") -> str:
    return f"{scheme}://till:pass%20word@127.0.0.1:{mail.port}"


@pytest.mark.parametrize("in_clear", [False, True])
def test_a_password_goes_only_under_starttls(trusted: ssl.SSLContext, in_clear: bool) -> None:
    """Also where the server would take it in clear: anybody on the way could read it."""
    with mail_server(MailServer(tls=trusted, logins_in_clear=in_clear)) as mail:
        send_by_smtp(with_login(mail))(a_mail())
    assert (mail.recipients, mail.logins) == (["a@example.org"], [LOGIN])
    assert [line[:4].upper() for line in mail.heard_in_clear] == ["EHLO", "STAR"]


def test_without_tls_no_password_goes() -> None:
    with mail_server(MailServer(logins_in_clear=True)) as mail, pytest.raises(PasswordInClear):
        send_by_smtp(with_login(mail))(a_mail())
    assert (mail.taken, mail.logins) == ([], [])


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_password_goes_to_nobody_else(tls: ssl.SSLContext, scheme: str) -> None:
    """A certificate that this machine does not trust may be anybody's."""
    server = MailServer(tls=tls, tls_from_the_start=scheme == "smtps")
    with mail_server(server) as mail, pytest.raises(ssl.SSLCertVerificationError):
        send_by_smtp(with_login(mail, scheme))(a_mail())
    assert (mail.taken, mail.logins) == ([], [])


def test_tls_from_the_start(trusted: ssl.SSLContext) -> None:
    with mail_server(MailServer(tls=trusted, tls_from_the_start=True)) as mail:
        send_by_smtp(with_login(mail, "smtps"))(a_mail())
    assert (mail.recipients, mail.logins) == (["a@example.org"], [LOGIN])
    assert mail.heard_in_clear == []


def test_without_a_password_any_certificate_is_better_than_none(tls: ssl.SSLContext) -> None:
    """The relay of a machine signs its own. Whoever could be it could offer no TLS as well."""
    with mail_server(MailServer(tls=tls)) as mail:
        send_by_smtp(mail.url)(a_mail())
    assert mail.recipients == ["a@example.org"]
    assert [line[:4].upper() for line in mail.heard_in_clear] == ["EHLO", "STAR"]


def test_what_the_server_has_taken_has_gone() -> None:
    """Whatever it says at parting: else each try would bring the buyer the invoice once more."""
    with mail_server(MailServer(farewell="421 too busy")) as mail:
        send_by_smtp(mail.url)(a_mail())
    assert mail.recipients == ["a@example.org"]


def test_a_mail_is_of_the_day_of_the_sale() -> None:
    """So it is the same mail whenever it goes, and no server has to guess its date."""
    mail = write_invoice(replace(PURCHASE, customer_email="a@example.org"), [], "till@b.org", "S")
    assert mail["Date"].datetime == PURCHASE.recorded_at


def test_an_odd_address_is_one_recipient() -> None:
    """`a,b@c.org` would be two by its looks."""
    mail = write_invoice(replace(PURCHASE, customer_email="a,b@c.org"), [], "till@example.org", "S")
    assert [(to.username, to.domain) for to in mail["To"].addresses] == [("a,b", "c.org")]


@pytest.mark.parametrize(
    ("address", "to"),
    [
        ("anna@b\u00fccher.de", "anna@xn--bcher-kva.de"),
        # By the older standard that would be strasse.de, which is somebody else's.
        ("anna@stra\u00dfe.de", "anna@xn--strae-oqa.de"),
        ("anna@Example.org", "anna@Example.org"),
        ("anna@b\u00fc..de", "anna@b\u00fc..de"),
    ],
)
def test_a_domain_of_any_script_has_a_form_that_every_server_knows(address: str, to: str) -> None:
    mail = write_invoice(replace(PURCHASE, customer_email=address), [], "till@example.org", "S")
    assert mail["To"].addresses[0].addr_spec == to


def test_any_server_takes_a_mail_to_a_domain_of_any_script() -> None:
    mail = write_invoice(
        replace(PURCHASE, customer_email="anna@b\u00fccher.de"), [], "till@example.org", "S"
    )
    with mail_server() as server:
        send_by_smtp(server.url)(mail)
    assert server.recipients == ["anna@xn--bcher-kva.de"]


def test_a_file_names_its_recipient_in_any_script(tmp_path: Path) -> None:
    """An address in encoded words is none: no program delivers that."""
    address = "\u0905\u0928@example.org"
    mail = write_invoice(replace(PURCHASE, customer_email=address), [], "till@example.org", "S")
    send_to_spool(tmp_path)(mail)
    (file,) = tmp_path.iterdir()
    assert f"To: {address}\r\n".encode() in file.read_bytes()


def test_a_book_brought_back_overwrites_no_file(tmp_path: Path) -> None:
    """Receipt numbers of lost sales are given again; a file may be all that is left of one."""
    for subject in ("ab" * 16, "cd" * 16, "cd" * 16):
        sold = replace(PURCHASE, subject_id=subject, customer_email=f"{subject}@example.org")
        send_to_spool(tmp_path)(write_invoice(sold, [], "till@example.org", "S"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"invoice-1-{'ab' * 16}.eml", f"invoice-1-{'cd' * 16}.eml"]
