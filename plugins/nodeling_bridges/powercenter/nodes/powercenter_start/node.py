"""Set a workflow's variables to what its parameter files and defaults say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nodeling import Context, NodeError
from nodeling_bridges.powercenter.language import dates
from nodeling_bridges.powercenter.language.functions import EvaluationFault, number_of


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Give every variable the value of its datatype."""
    values: dict[str, Any] = {}
    for name, said in inputs["variables"].items():
        try:
            values[name] = typed(said["value"], said["datatype"].lower())
        except ValueError as error:
            message = f"{name} is {said['datatype']}, and {said['value']!r} is none: {error}"
            raise NodeError(message, code=4001, retryable=False) from error
        ctx.set(name, values[name])
    started = datetime.now(UTC).replace(tzinfo=None)
    return {"started": dates.iso(started), "variables": values}


def typed(text: str | None, datatype: str) -> Any:
    """A text as a value of a datatype."""
    if text is None:
        return None
    if datatype in ("integer", "smallint", "bigint"):
        number = number_of(text)
        if number != int(number):
            raise EvaluationFault("it has a fraction")
        return int(number)
    if datatype in ("double", "decimal", "real"):
        return number_of(text)
    if datatype.startswith("date"):
        return dates.iso(dates.parsed(text))
    return text
