"""Where a PostgreSQL store is: its address taken apart, connections made, and every error said in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from nodeling._dataclass import dataclass
from nodeling.errors import PluginError, StoreError

if TYPE_CHECKING:
    import psycopg

SCHEMA = "nodeling"  # whose tables are ours alone, whatever else the database holds
LEASE_SECONDS = 30.0
SHORTEST_LEASE = 1.0
IDLE_SECONDS = 10  # a transaction of a process that was stopped in its middle is ended by the server
LOCK_SECONDS = 30
LINK: dict[str, str] = {  # a network that swallows packets is noticed, not waited for
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "application_name": "nodeling",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")  # with room for what is put before it

Db = Any  # psycopg's connection; its type would be imported with the module


@dataclass(frozen=True, slots=True)
class Address:
    """A store's address, taken apart.

    Args:
        given: What psycopg connects to, with its password.
        shown: The same for messages, without it.
        schema: Whose tables.
        lease_seconds: How long an owner that is not heard of counts as alive.
    """

    given: str
    shown: str
    schema: str = SCHEMA
    lease_seconds: float = LEASE_SECONDS

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take `postgresql://user@host/database?schema=NAME&lease=SECONDS` apart.

        Raises:
            StoreError: The schema is no name, or the lease no time.
        """
        parts = urlsplit(url)
        asked = parse_qsl(parts.query, keep_blank_values=True)
        own = {key: value for key, value in asked if key in ("schema", "lease")}
        rest = [(key, value) for key, value in asked if key not in own]
        schema = own.get("schema", SCHEMA)
        if not _NAME.fullmatch(schema) or schema.lower().startswith("pg_"):
            raise StoreError(
                f"{schema!r} is no name of a schema",
                code="store.address",
                hint="letters, digits and _, 48 of them at most; pg_ belongs to the server",
            )
        given = urlunsplit(parts._replace(query=urlencode(rest, quote_via=quote)))
        shown = [pair for pair in asked if pair[0] != "password"]
        netloc = re.sub(r":[^:@]*@", "@", parts.netloc)
        return cls(
            given,
            urlunsplit(parts._replace(netloc=netloc, query=urlencode(shown, quote_via=quote))),
            schema,
            _lease(own.get("lease")),
        )


def _lease(given: str | None) -> float:
    try:
        seconds = LEASE_SECONDS if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_LEASE <= seconds <= 86_400.0:
        raise StoreError(
            f"{given!r} is no lease", code="store.address", hint="a number of seconds, from 1 up: ?lease=30"
        )
    return seconds


def connect(address: Address, durability: str) -> psycopg.Connection[Any]:
    """Open a connection with the settings that every connection must have.

    Raises:
        PluginError: psycopg is not installed.
        StoreError: The server cannot be reached, or does not want us.
    """
    try:
        import psycopg
        from psycopg import conninfo, sql
    except ImportError as error:
        raise PluginError(
            "a store in PostgreSQL needs psycopg",
            code="store.psycopg",
            hint="pip install 'nodeling[postgres]'",
        ) from error
    try:
        asked = conninfo.conninfo_to_dict(address.given)
        defaults = {key: value for key, value in LINK.items() if key not in asked}
        db = psycopg.connect(address.given, autocommit=True, **defaults)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise worded(error, address) from error
    try:
        db.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(address.schema)))
        db.execute(
            sql.SQL(
                "SET client_encoding = 'UTF8'; SET idle_in_transaction_session_timeout = {};"
                " SET lock_timeout = {}; SET synchronous_commit = {}"
            ).format(
                sql.Literal(f"{IDLE_SECONDS}s"),
                sql.Literal(f"{LOCK_SECONDS}s"),
                sql.Literal("on" if durability == "full" else "off"),
            )
        )
    except psycopg.Error as error:
        db.close()
        raise worded(error, address) from error
    return db


def is_lost(error: Exception) -> bool:
    """Whether the server went away, so that the same may well work with another connection."""
    import psycopg

    if not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return False
    state = error.sqlstate
    return state is None or state.startswith(("08", "57P")) or state in ("25P03", "25P04")


def worded(error: Exception, address: Address) -> StoreError:
    """An error of psycopg's as one of ours."""
    import psycopg

    state: str | None = getattr(error, "sqlstate", None)
    said = " ".join(str(error).split())
    details = {"sqlstate": state}
    for start, (code, message, hint) in _WORDS.items():
        if (state or "").startswith(start):
            text = message.format(where=address.shown, said=said)
            return StoreError(text, code=code, hint=hint, details=details)
    if isinstance(error, psycopg.DataError):
        return StoreError(f"a value cannot be kept: {said}", code="store.contradiction", details=details)
    if is_lost(error):
        return StoreError(
            f"{address.shown} cannot be reached: {said}",
            code="store.unreachable",
            hint="is the server running, and is the address right?",
            details=details,
        )
    return StoreError(f"{address.shown}: {said}", code="store.unavailable", details=details)


_WORDS: dict[str, tuple[str, str, str | None]] = {
    "53100": ("store.full", "the disk of {where} is full", "make room"),
    "58": ("store.io", "{where} reports an error of its disk: {said}", None),
    "55P03": ("store.locked", f"{{where}} was locked for {LOCK_SECONDS} s: {{said}}", None),
    "XX00": ("store.corrupt", "{where} is damaged: {said}", "the server's log says more"),
    "25006": ("store.read_only", "{where} cannot be written: {said}", "name the primary server"),
    "42501": ("store.read_only", "{where} does not let us: {said}", "grant the rights that are missing"),
    "23505": ("store.contradiction", "what is to be kept contradicts what is there: {said}", None),
    "28": (
        "store.unavailable",
        "{where} does not let us in: {said}",
        "~/.pgpass may hold the password",
    ),
    "3D000": ("store.unavailable", "{where}: {said}", "make the database first: createdb"),
}
