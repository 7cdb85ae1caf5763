"""email: against a real SMTP server, with and without TLS and a login."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from nodeling.testing import NodeOutcome
from programs import need

Shipped = Callable[..., NodeOutcome]
MAIL = {"from": "Ada <ada@example.com>", "to": ["bob@example.com"], "subject": "Hé", "text": "plain é"}


class Box:
    """Takes mail, and refuses what it is told to."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.refused: dict[str, str] = {}
        self.answer = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.mails.append((list(envelope.rcpt_tos), message))
        return self.answer


@contextmanager
def serving(box: Box, ssl_context: ssl.SSLContext | None = None, **options: Any) -> Iterator[dict[str, Any]]:
    """aiosmtpd on a free port."""
    loop = asyncio.new_event_loop()
    opening = loop.create_server(
        lambda: SMTP(box, loop=loop, hostname="tests", **options), "127.0.0.1", 0, ssl=ssl_context
    )
    server = loop.run_until_complete(opening)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield {"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "security": "none"}
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)  # for the connections to be told


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = need("openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", *made, *names],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def trust(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_everybody_gets_it_and_blind_copies_stand_in_no_header(shipped: Shipped, box: Box) -> None:
    with serving(box) as server:
        more = {"cc": "carol@example.com", "bcc": ["dave@example.com", "bob@example.com"], "html": "<p>é</p>"}
        outcome = shipped("email", {**server, **MAIL, **more, "reply_to": "desk@example.com"})
    assert outcome.succeeded, outcome.error
    ((recipients, mail),) = box.mails
    assert recipients == ["bob@example.com", "carol@example.com", "dave@example.com"]
    assert outcome.output["accepted"] == recipients and outcome.output["refused"] == {}
    assert (mail["Subject"], mail["From"], mail["Cc"]) == ("Hé", "Ada <ada@example.com>", "carol@example.com")
    assert mail["Reply-To"] == "desk@example.com" and mail["Message-ID"] == outcome.output["message_id"]
    assert "dave" not in mail.as_string() and mail["Bcc"] is None
    plain, rich = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None and plain.get_content().strip() == "plain é"
    assert rich is not None and rich.get_content().strip() == "<p>é</p>"


def test_files_are_attached_and_bounded(
    shipped: Shipped, box: Box, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "report.csv").write_text("a,b\n", encoding="utf-8")
    with serving(box) as server:
        assert shipped("email", {**server, **MAIL, "attachments": ["report.csv"]}).succeeded
        (here / "large").write_bytes(b"x" * (25 * 1024 * 1024 + 1))
        outcome = shipped("email", {**server, **MAIL, "attachments": ["report.csv", "large"]})
        assert (
            outcome.code == 4005 and "large makes the attachments larger" in (outcome.error or {})["message"]
        )
        assert shipped("email", {**server, **MAIL, "attachments": ["gone"]}).code == 4004
    (attached,) = box.mails[0][1].iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("report.csv", "text/csv")
    assert len(box.mails) == 1


def test_a_refused_recipient_is_told_and_all_of_them_fail_the_step(shipped: Shipped, box: Box) -> None:
    box.refused = {"bob@example.com": "550 no such user"}
    with serving(box) as server:
        found = shipped("email", {**server, **MAIL, "cc": "carol@example.com"}).output
        assert found["accepted"] == ["carol@example.com"] and "550" in found["refused"]["bob@example.com"]
        assert shipped("email", {**server, **MAIL}).code == 4001
        box.refused = {"bob@example.com": "451 later"}
        outcome = shipped("email", {**server, **MAIL}, step={"retry": {"attempts": 3, "delay": 1}})
        assert outcome.code == 5000 and outcome.attempts == 3  # it was not sent, so asking again is safe


def test_what_the_server_says_of_the_message_is_the_error(shipped: Shipped, box: Box) -> None:
    with serving(box) as server:
        box.answer = "554 spam"
        error = shipped("email", {**server, **MAIL}).error or {}
        assert error["code"] == 4000 and "554 spam" in error["message"]


def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ada", b"very-secret")
    return AuthResult(success=right, handled=False)


def test_starttls_and_a_login_with_the_secret(shipped: Shipped, box: Box, certificate: Path) -> None:
    options = {"tls_context": trust(certificate), "require_starttls": True, "authenticator": login}
    inputs = {**MAIL, "user": "ada", "ca_file": str(certificate / "cert.pem")}
    secret: dict[str, Any] = {"config": {"secret": "MAIL"}, "secrets": {"MAIL": "very-secret"}}
    with serving(box, **options, auth_required=True) as server:
        server = {**server, "security": "starttls"}
        assert shipped("email", {**server, **inputs}, **secret).succeeded
        wrong = shipped(
            "email", {**server, **inputs}, config={"secret": "MAIL"}, secrets={"MAIL": "wrong-one"}
        )
        assert wrong.code == 4003 and "refused the login" in (wrong.error or {})["message"]
        assert shipped("email", {**server, **inputs}).code == 4002
        untrusted = shipped("email", {**server, **MAIL})
        assert untrusted.code == 4003 and "cannot be trusted" in (untrusted.error or {})["message"]
    assert len(box.mails) == 1


def test_tls_from_the_start(shipped: Shipped, box: Box, certificate: Path) -> None:
    with serving(box, ssl_context=trust(certificate)) as server:
        inputs = {**server, **MAIL, "security": "tls", "ca_file": str(certificate / "cert.pem")}
        outcome = shipped("email", inputs)
    assert outcome.succeeded, outcome.error


def test_a_server_without_tls_gets_no_mail_unless_that_was_said(shipped: Shipped, box: Box) -> None:
    with serving(box) as server:
        outcome = shipped("email", {**server, **MAIL, "security": "starttls"})
    assert outcome.code == 4010 and box.mails == []


def test_a_server_that_is_not_there_is_asked_again(shipped: Shipped) -> None:
    inputs = {"host": "127.0.0.1", "port": 1, "security": "none", **MAIL}
    outcome = shipped("email", inputs, step={"retry": {"attempts": 2, "delay": 1}})
    assert outcome.code == 5005 and outcome.attempts == 2


@pytest.mark.parametrize(
    "more",
    [
        {"to": "bob@example.com\r\nBcc: eve@example.com"},
        {"from": "ada@example.com\nX: y"},
        {"subject": "a\nb"},
        {"to": "@"},
        {"to": "no address at all"},
    ],
)
def test_no_header_is_smuggled_in(shipped: Shipped, box: Box, more: dict[str, Any]) -> None:
    with serving(box) as server:
        assert shipped("email", {**server, **MAIL, **more}).code == 4001
    assert box.mails == []
