"""Run one scriptlet. The process is this call's own, so what an import leaves behind meets nobody."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

from nodeling import Context as NodeContext
from nodeling import NodeError
from nodeling.values import encode
from nodeling_bridges.framework0.context import Context, missing
from nodeling_bridges.framework0.modules import Place, found, loaded, scriptlet_in
from nodeling_bridges.framework0.names import in_place
from nodeling_bridges.framework0.scriptlets import WRITTEN, outcome_of

ERROR = "recipe.error"
LARGEST = 64 * 1024  # what a failure carries along of each value that was written before it
LONGEST = 32 * 1024


def run(ctx: NodeContext, inputs: dict[str, Any]) -> dict[str, Any] | None:
    """Find the scriptlet, run it and judge what it left."""
    place = found(inputs["module"], [Path(folder) for folder in inputs.get("folders", ())])
    os.chdir(place.root)
    context = _context(ctx, inputs.get("error"))
    try:
        return _ran(context, place, inputs)
    except NodeError as error:
        error.details.update(_left(context))
        raise
    except Exception as error:  # a scriptlet raises whatever it likes
        said = traceback.format_exception_only(error)[-1].strip()
        whole = "".join(traceback.format_exception(error))[-LONGEST:]
        details = {"type": type(error).__name__, "traceback": whole, **_left(context)}
        raise NodeError(said, code=4000, details=details) from None


def _ran(context: Context, place: Place, inputs: dict[str, Any]) -> dict[str, Any] | None:
    step = inputs["step"]
    with in_place():
        made = scriptlet_in(loaded(place), inputs["function"], f"step {step!r}")()
        execute = getattr(made, "execute", made.run)  # a registered class need not derive from anything
        output = outcome_of(execute(context, inputs.get("args", {})), inputs["function"])
    wanted = missing(context, inputs.get("ctx_has_keys", ()))
    if wanted:
        names = ", ".join(map(repr, wanted))
        raise NodeError(
            f"step {step!r} ended, and the context does not hold {names}", code=4006, retryable=False
        )
    return output


def _context(ctx: NodeContext, error: dict[str, Any] | None) -> Context:
    given: Any = ctx.vars if error is None else {**ctx.vars, ERROR: error}
    context = Context(given, lambda key: _who(ctx, key))
    context.register_callback("after_set", ctx.set)
    return context


def _who(ctx: NodeContext, key: str) -> str | None:
    """The recipe's step that wrote a key: the one whose child the engine names."""
    who = ctx.who(key)
    return None if who is None else who.rpartition("/")[2].removesuffix("-scriptlet")


def _left(context: Context) -> dict[str, Any]:
    """What was written before a failure; the step hands it to those that handle it."""
    written = {key: context.get(key) for key in dict.fromkeys(one["key"] for one in context.get_history())}
    told = {key: value for key, value in written.items() if len(encode(value)) <= LARGEST}
    return {WRITTEN: told} if told else {}
