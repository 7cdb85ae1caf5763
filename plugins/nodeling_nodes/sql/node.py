"""Run SQL. Values travel as parameters; no text of a statement is ever put together from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nodeling import Context, NodeError

from . import databases, values

SCHEME = re.compile(r"^([a-z][a-z0-9+]*)://")


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run every statement in one transaction, and give the rows of the last."""
    address, password = _address(ctx, inputs)
    statements = inputs.get("statements") or [
        {key: inputs[key] for key in ("sql", "parameters", "many") if key in inputs}
    ]
    wanted = databases.Wanted(
        address,
        password,
        read_only=inputs.get("read_only", False),
        timeout=inputs.get("timeout_ms", 30_000) / 1_000,
        cancelled=lambda: ctx.cancelled,
    )
    result = values.Result(inputs.get("max_rows", 100_000))
    with databases.connected(wanted) as database:
        for number, statement in enumerate(statements):
            _one(database, statement, number, len(statements), result)
            if ctx.cancelled:
                raise NodeError("cancelled, and nothing was changed", code=9006, retryable=False)
    ctx.metric("rows", len(result.rows))
    ctx.metric("changed", result.changed)
    return result.to_json()


def _one(
    database: databases.Database, statement: Mapping[str, Any], number: int, of: int, result: values.Result
) -> None:
    if "many" in statement and "parameters" in statement:
        raise NodeError("a statement takes `parameters` or `many`, not both", code=4001, retryable=False)
    sets = statement.get("many", [statement.get("parameters", [])])
    where = f"statement {number + 1} of {of}" if of > 1 else "the statement"
    for index, given in enumerate(sets):
        label = f"{where}, parameters {index}" if "many" in statement else where
        values.check_parameters(given, label)
        with databases.explained(database, label):
            cursor = database.execute(statement["sql"], given)
            result.take(cursor, label)
            result.changed += database.changed(cursor)


def _address(ctx: Context, inputs: Mapping[str, Any]) -> tuple[str, str | None]:
    name = ctx.config.get("secret")
    secret = None if name is None else ctx.secrets[name]
    address = inputs.get("database", secret)
    if address is None:
        raise NodeError("there is no `database`, and `config.secret` names none", code=4001, retryable=False)
    scheme = SCHEME.match(address)
    if scheme is None or scheme[1] not in databases.KINDS:
        shown = f"{scheme[1]}://…" if scheme else "that"
        raise NodeError(
            f"{shown} is no address of a database",
            code=4001,
            retryable=False,
            hint="as in sqlite:///file.db or postgresql://user@host/name",
        )
    return address, secret if "database" in inputs else None
