"""`nodectl eval`: try an expression out, with data of one's own in place of a run."""

from __future__ import annotations

from typing import Any

import click

from nodeling_runtime.cli.inputs import Pair, given_value, merged_input
from nodeling_runtime.cli.output import print_json


@click.command("eval")
@click.argument("expression")
@click.option("--input", "input_", metavar="JSON|@FILE|-", help="What ctx.request.body is.")
@click.option(
    "-i", "pairs", metavar="KEY=VALUE", multiple=True, type=Pair(), help="One key of ctx.request.body."
)
@click.option("--vars", "vars_", metavar="JSON|@FILE", help="What ctx.vars is.")
@click.option("--scope", metavar="JSON|@FILE", help='More names: an object such as {"item": 1, "steps": {}}.')
@click.option("--json", "as_json", is_flag=True, help="Print an object with the value, or with the error.")
def command(
    expression: str,
    input_: str | None,
    pairs: tuple[tuple[str, Any], ...],
    vars_: str | None,
    scope: str | None,
    as_json: bool,
) -> None:
    """Evaluate EXPRESSION and print its value as JSON.

    EXPRESSION is what stands inside ${…}, a whole text with ${…} in it, or js/… as in older documents.
    """
    body = merged_input(input_, pairs)
    context = {
        "request": {"body": body, "headers": {}, "query": {}, "params": {}, "method": "", "path": ""},
        "vars": _object(vars_, "--vars"),
    }
    names = _object(scope, "--scope")
    given = names.pop("ctx", {})
    if not isinstance(given, dict):
        raise click.BadParameter("ctx is an object", param_hint="--scope")
    value = _evaluate(expression, {"ctx": {**context, **given}, **names})
    print_json({"value": value} if as_json else value)


def _object(text: str | None, option: str) -> dict[str, Any]:
    value = {} if text is None else given_value(text, option)
    if not isinstance(value, dict):
        raise click.BadParameter("it is an object", param_hint=option)
    return value


def _evaluate(text: str, names: dict[str, Any]) -> Any:
    from nodeling_runtime.engine.loaded import function_table
    from nodeling_runtime.expressions.compiler import compile_expression
    from nodeling_runtime.expressions.record import Names, to_plain
    from nodeling_runtime.expressions.template import compile_template

    functions = function_table()
    compiled: Any
    if "${" in text or text.startswith("js/"):
        compiled = compile_template(text, functions)
    else:
        compiled = compile_expression(text, functions)
    return to_plain(compiled.evaluate(Names(names)))
