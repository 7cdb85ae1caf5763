"""`nodectl runs show`: one run, as it ended or as far as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from nodeling.fault import one_line as visible
from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.runs.where import existing, find_run, json_option, moment, store_option
from nodeling_runtime.cli.text import COLOURS, abandoned_line, error_line, fancy, hint_of, how_to_go_on, mark
from nodeling_runtime.cli.words import complete_runs

if TYPE_CHECKING:
    from nodeling_runtime.cli.runs.history import Told
    from nodeling_runtime.store.model import RunRow

MOST_CHILDREN = 50  # of one step; more of them are counted


@click.command("show")
@click.argument("run", shell_complete=complete_runs)
@store_option
@json_option
def command(run: str, store: str | None, as_json: bool) -> None:
    """Show RUN: its steps and what is inside them, its error, its output.

    With --json it is the object that `nodectl run --json` prints; of a run that goes on, what is known.
    """
    from nodeling_runtime.cli.runs.history import critical_path, forest, steps_of
    from nodeling_runtime.engine.stored import stored_result

    with existing(store) as opened:
        row = find_run(opened, run)
        result = stored_result(opened, row.run_id)
        events = [] if as_json else opened.events(row.run_id)
        definition = opened.definition(row.definition)
        is_abandoned = row.run_id in opened.abandoned()
    if as_json:
        print_json(result.to_json())
        return
    if result.succeeded:
        print_json(result.output)
    top = forest(steps_of(events))
    for line in (*_head(row), *_tree(top, ""), *_critical(critical_path(top, _late(definition)), row)):
        talk(line)
    if is_abandoned:
        talk(f"nodectl: {abandoned_line([row.run_id])}")


def _late(definition: bytes | None) -> set[str]:
    """The steps that wait for everything in the body: handlers and `always` steps."""
    import orjson

    listed = orjson.loads(definition or b"{}").get("document", {}).get("steps", [])
    steps = [step for step in listed if isinstance(step, dict)]
    return {str(step.get("name")) for step in steps if step.get("trigger", "body") != "body"}


def _head(row: RunRow) -> Iterator[str]:
    yield f"{click.style(visible(row.workflow), bold=True)}  run {row.run_id}"
    said = [click.style(row.status, fg=COLOURS.get(row.status), bold=True), f"begun {moment(row.created)}"]
    if row.ended is not None:
        said.append(f"took {_spoken((row.ended - row.created) * 1_000)}")
    if row.recoveries:
        said.append(f"{row.recoveries} recoveries" if row.recoveries > 1 else "one recovery")
    if row.key is not None:
        said.append(f"key {visible(row.key)}")
    yield ", ".join(said)
    if row.error is not None:
        step = row.error.get("step")
        yield click.style(f"{f'step {step!r}: ' if step else ''}{error_line(row.error)}", fg="red")
    if row.status == "suspended":
        yield how_to_go_on(row.run_id, row.error)


def _tree(steps: list[Told], indent: str) -> Iterator[str]:
    shown = steps
    if len(steps) > MOST_CHILDREN:
        shown = [step for step in steps if step.status != "succeeded"][:MOST_CHILDREN]
    width = min(40, max((len(_label(step)) for step in shown), default=0))
    for place, step in enumerate(shown):
        last = place == len(shown) - 1 and len(shown) == len(steps)
        branch, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
        if not fancy():
            branch, below = "- ", "  "
        yield f"{indent}{branch}{_line(step, width)}"
        hint = None if step.error is None else hint_of(step.error)
        if hint:
            yield f"{indent}{below}  try: {hint}"
        yield from _tree(step.children, indent + below)
    if len(shown) < len(steps):
        yield f"{indent}and {len(steps) - len(shown)} more"


def _label(step: Told) -> str:
    """Its name, with its key among its container's children."""
    key = step.path[: -len(step.name)] if step.path.endswith(step.name) else step.path
    key = key.rstrip("/:")
    return visible(f"{step.name} {key[key.rindex('[') :]}" if key.endswith("]") else step.name)


def _line(step: Told, width: int) -> str:
    sign = click.style(mark(step.status), fg=COLOURS.get(step.status))
    said = [f"{sign} {_label(step):<{width}}"]
    if step.took_ms is not None:
        said.append(f"{_spoken(step.took_ms):>8}")
    if step.attempts > 1:
        said.append(f"{step.attempts} attempts")
    if step.gen:
        said.append(f"generation {step.gen}")
    if step.error is not None:
        said.append(click.style(error_line(step.error), fg="red"))
    elif step.reason is not None or step.status != "succeeded":
        said.append(f"{step.status} ({step.reason})" if step.reason else step.status)
    return "  ".join(said)


def _critical(path: Iterable[Told], row: RunRow) -> Iterator[str]:
    steps = list(path)
    if not steps or row.ended is None:
        return
    arrow = " → " if fancy() else " -> "
    spent = sum(step.took_ms or 0.0 for step in steps)
    said = arrow.join(f"{visible(step.name)} {_spoken(step.took_ms or 0.0)}" for step in steps)
    yield f"critical path, as measured: {said}; {_spoken(spent)} together"


def _spoken(ms: float) -> str:
    from nodeling_runtime.workflow.duration import spoken

    return spoken(ms)
