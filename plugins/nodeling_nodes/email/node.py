"""Send an e-mail by SMTP. Blind copies stand in the envelope alone."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Any

from nodeling import Context, NodeError
from nodeling_nodes import _files

MAX_ATTACHED = 25 * 1024 * 1024


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Compose the message, then hand it to the server."""
    recipients = {kind: _addresses(inputs.get(kind, [])) for kind in ("to", "cc", "bcc")}
    everybody = list(dict.fromkeys(a.addr_spec for kind in recipients.values() for a in kind))
    if not everybody:
        raise _refusal("nobody is named in `to`, `cc` or `bcc`")
    message = _message(inputs, recipients)
    sender = _address(inputs["from"]).addr_spec
    with _explained(inputs), _connected(ctx, inputs) as server:
        refused = server.send_message(message, sender, everybody)
    said = _said(refused)
    for who, why in said.items():
        ctx.log.warning(f"{who} was refused: {why}")
    return {
        "message_id": str(message["Message-ID"]),
        "accepted": [who for who in everybody if who not in said],
        "refused": said,
    }


def _message(inputs: Mapping[str, Any], recipients: Mapping[str, list[Address]]) -> EmailMessage:
    message = EmailMessage()
    try:
        message["Subject"] = inputs["subject"]
        message["From"] = _address(inputs["from"])
        for kind in ("to", "cc"):
            if recipients[kind]:
                message[kind.capitalize()] = recipients[kind]
        if "reply_to" in inputs:
            message["Reply-To"] = _address(inputs["reply_to"])
    except ValueError as error:  # a line break in a header
        raise _refusal(f"a header cannot be written: {error}") from error
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=_address(inputs["from"]).domain or "localhost")
    if "text" in inputs:
        message.set_content(inputs["text"])
    if "html" in inputs:
        if "text" in inputs:
            message.add_alternative(inputs["html"], subtype="html")
        else:
            message.set_content(inputs["html"], subtype="html")
    left = MAX_ATTACHED
    for path in inputs.get("attachments", ()):
        left -= _attach(message, path, left)
    return message


def _attach(message: EmailMessage, path: str, left: int) -> int:
    with _files.opened(path) as file:
        if os.fstat(file.fileno()).st_size > left:
            raise NodeError(
                f"{path} makes the attachments larger than {MAX_ATTACHED} bytes", code=4005, retryable=False
            )
        data = file.read(left)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    main, _, sub = kind.partition("/")
    message.add_attachment(data, maintype=main, subtype=sub, filename=os.path.basename(path))
    return len(data)


@contextlib.contextmanager
def _connected(ctx: Context, inputs: Mapping[str, Any]) -> Iterator[smtplib.SMTP]:
    host, security = inputs["host"], inputs.get("security", "starttls")
    port = inputs.get("port", 465 if security == "tls" else 587)
    timeout = inputs.get("timeout_ms", 30_000) / 1_000
    trust = None if security == "none" else _trust(inputs.get("ca_file"))
    server: smtplib.SMTP
    if security == "tls":
        server = smtplib.SMTP_SSL(host, port, timeout=timeout, context=trust)
    else:
        server = smtplib.SMTP(host, port, timeout=timeout)
    with server:
        if security == "starttls":
            server.starttls(context=trust)
        if "user" in inputs:
            server.login(inputs["user"], _password(ctx))
        yield server


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise _files.trouble(error, str(ca_file), "read") from error


def _password(ctx: Context) -> str:
    name = ctx.config.get("secret")
    if name is None:
        raise NodeError(
            "`user` logs in with a secret, and the step's `config` names none",
            code=4002,
            retryable=False,
            hint="config: {secret: NAME}",
        )
    return str(ctx.secrets[name])


@contextlib.contextmanager
def _explained(inputs: Mapping[str, Any]) -> Iterator[None]:
    """What the server or the way to it said, as the node's errors. What failed here was not sent."""
    where = inputs["host"]
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        said = _said(error.recipients)
        passing = all(400 <= code < 500 for code, _ in error.recipients.values())
        raise NodeError(
            f"{where} refused every recipient: {next(iter(said.values()))}",
            code=5000 if passing else 4001,
            retryable=passing,
            details={"refused": said},
            started=False,
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        raise NodeError(f"{where} refused the login", code=4003, retryable=False) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NodeError(f"{where}: {error}", code=4010, retryable=False) from error
    except smtplib.SMTPResponseException as error:
        said_once = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
        passing = 400 <= error.smtp_code < 500
        raise NodeError(
            f"{where} answered {error.smtp_code} {said_once}",
            code=5000 if passing else 4000,
            retryable=passing,
            started=False,
        ) from error
    except smtplib.SMTPServerDisconnected as error:
        raise NodeError(f"{where} broke off: {error}", code=5000, retryable=True) from error
    except ssl.SSLError as error:
        why = error.reason or error
        raise NodeError(f"{where} cannot be trusted: {why}", code=4003, retryable=False) from error
    except UnicodeError as error:
        raise _refusal(f"{where!r:.80} is no name of a host") from error
    except OSError as error:
        said_of = error.strerror or str(error) or type(error).__name__
        raise NodeError(
            f"{where} cannot be reached: {said_of}", code=5005, retryable=True, started=False
        ) from error


def _said(refused: Mapping[str, tuple[int, bytes]]) -> dict[str, str]:
    return {who: f"{code} {text.decode('utf-8', 'replace')}" for who, (code, text) in refused.items()}


def _addresses(given: str | list[str]) -> list[Address]:
    return [_address(one) for one in ([given] if isinstance(given, str) else given)]


def _address(text: str) -> Address:
    name, spec = parseaddr(text)
    try:
        if not spec or any(ord(one) < 32 for one in text):
            raise ValueError("it is none")
        return Address(name, addr_spec=spec)
    except (ValueError, IndexError) as error:
        raise _refusal(f"{text!r:.80} is no address: {error}") from error
    except Exception as error:  # the parser's own errors have no common root
        raise _refusal(f"{text!r:.80} is no address") from error


def _refusal(message: str) -> NodeError:
    return NodeError(message, code=4001, retryable=False)
