"""The worker that runs one script a call, in QuickJS, from JSON text to JSON text.

QuickJS keeps its own limits of time and memory for most of what a script can do; a builtin that outruns
them ends with this process, which the host kills.
"""

from __future__ import annotations

import json
from typing import Any

import quickjs

from nodeling import Context, NodeError

SECONDS = 1.0  # of processor time, which QuickJS looks at between two steps
MEMORY_BYTES = 64 * 1024 * 1024
STACK_BYTES = 512 * 1024

# `stringify` is taken before the script runs, which may replace whatever it can reach.
_WRAP = """
(function (parse, stringify, text, run) {
  "use strict";
  const kinds = ["Object", "Array", "String", "Number", "Boolean", "Null", "Date"];
  const tag = Object.prototype.toString;
  const kindOf = (value) => tag.call(value).slice(8, -1);
  const scope = { ctx: { vars: {} }, func: {} }; // there are variables, also where none is read that exists
  for (const [path, found] of parse(text)) {
    if (found.length === 0) continue;
    let at = scope;
    for (const key of path.slice(0, -1)) at = at[key] ??= {};
    at[path[path.length - 1]] = found[0];
  }
  const { ctx, func } = scope;
  const given = run(ctx, ctx.response?.data, func, ctx.vars ?? {});
  const kind = kindOf(given);
  if (!kinds.includes(kind)) throw new TypeError(`it gives ${kind}, which is no JSON value`);
  if (typeof given === "number" && !Number.isFinite(given)) throw new TypeError(`it gives ${given}`);
  return stringify(given);
})
"""

# What is one expression stands in both; a text that closes the bracket of one does not parse in the other.
_LISTED = "(function () { return [(\n%s\n)]; })"
_FUNCTION = '(function (ctx, data, func, vars) { "use strict"; return (\n%s\n); })'


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """The value of `script`; `scope` holds a pair of path and values for each part of the scope.

    Without a scope the script is read and not run.
    """
    engine = quickjs.Context()
    engine.set_memory_limit(MEMORY_BYTES)
    engine.set_max_stack_size(STACK_BYTES)
    try:
        parse, stringify = engine.eval("JSON.parse"), engine.eval("JSON.stringify")
        wrap = engine.eval(_WRAP)
        engine.set_time_limit(SECONDS)
        engine.eval(_LISTED % inputs["script"])
        script = engine.eval(_FUNCTION % inputs["script"])
        if inputs["scope"] is None:  # it was only to be read
            return None
        text = wrap(parse, stringify, json.dumps(inputs["scope"]), script)
    except quickjs.JSException as error:
        raise NodeError(_said(error), code=4000, retryable=False) from None
    if not isinstance(text, str):
        raise NodeError("it gives no JSON value", code=4000, retryable=False)
    return json.loads(text)


def _said(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    if text == "InternalError: interrupted":
        return f"it runs for more than {SECONDS:g} s"
    if text == "InternalError: out of memory" or text == "null":
        return f"it needs more than {MEMORY_BYTES // 2**20} MiB"
    return text
