"""Set a workflow's variables to what its parameter files and defaults say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodeling import Context, NodeError
from nodeling_bridges.powercenter import kept
from nodeling_bridges.powercenter.language import dates
from nodeling_bridges.powercenter.language.functions import EvaluationFault, number_of

NO_PLACE = (
    "persistent variables are kept in a project's `.nodeling/powercenter`, or where $PMStorageDir of a"
    " parameter file says; there is neither, so they begin with their defaults and are not kept"
)


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Give every variable the value of its datatype."""
    values: dict[str, Any] = {}
    last = left_by_the_last_run(ctx, inputs)
    for name, said in inputs["variables"].items():
        if said.get("persistent") and name in last:
            values[name] = last[name]
            ctx.set(name, last[name])
            continue
        try:
            values[name] = typed(said["value"], said["datatype"].lower())
        except ValueError as error:
            message = f"{name} is {said['datatype']}, and {said['value']!r} is none: {error}"
            raise NodeError(message, code=4001, retryable=False) from error
        ctx.set(name, values[name])
    started = datetime.now(UTC).replace(tzinfo=None)
    return {"started": dates.iso(started), "variables": values}


def left_by_the_last_run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """The values of persistent variables."""
    if not any(said.get("persistent") for said in inputs["variables"].values()):
        return {}
    file = kept.file_of(inputs.get("folder"), inputs.get("workflow", "workflow"), Path.cwd())
    if file is None:
        ctx.log.warning(NO_PLACE)
        return {}
    try:
        return kept.read(file)
    except (OSError, ValueError) as error:
        message = f"the persistent variables cannot be read: {error}; mend or remove {file}"
        raise NodeError(message, code=4001, retryable=False) from error


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
