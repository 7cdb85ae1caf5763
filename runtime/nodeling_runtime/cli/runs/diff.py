"""`nodectl runs diff`: what two runs did differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nodeling.fault import one_line as visible
from nodeling_runtime.cli.output import print_json
from nodeling_runtime.cli.runs.where import existing, find_run, json_option, store_option
from nodeling_runtime.cli.text import one_line
from nodeling_runtime.cli.words import complete_runs

if TYPE_CHECKING:
    from nodeling_runtime.cli.runs.history import Told


@click.command("diff")
@click.argument("one", shell_complete=complete_runs)
@click.argument("other", shell_complete=complete_runs)
@store_option
@json_option
def command(one: str, other: str, store: str | None, as_json: bool) -> int:
    """Compare the steps of the runs ONE and OTHER: how they ended, what they gave, how long they took.

    The exit code is 1 when a status or an output differs. Times are shown, and are no difference,
    nor is the `execution_info` of a container.
    """
    from nodeling_runtime.cli.runs.history import steps_of

    with existing(store) as opened:
        rows = [find_run(opened, word) for word in (one, other)]
        first, second = (steps_of(opened.events(row.run_id)) for row in rows)
    found = [_compared(path, first.get(path), second.get(path)) for path in {**first, **second}]
    differ = [step for step in found if step["differs"]]
    if as_json:
        print_json({"runs": [row.run_id for row in rows], "steps": found})
        return 1 if differ else 0
    for step in found:
        click.echo(_line(step))
    click.echo(f"{len(differ)} of {len(found)} steps differ")
    return 1 if differ else 0


def _compared(path: str, one: Told | None, other: Told | None) -> dict[str, Any]:
    import orjson

    sides = [
        None
        if step is None
        else {
            "status": step.status,
            "output": None if step.value is None else orjson.loads(step.value),
            "error": step.error,
            "duration_ms": None if step.took_ms is None else round(step.took_ms, 3),
        }
        for step in (one, other)
    ]
    differs = [key for key in ("status", "output") if _at(sides[0], key) != _at(sides[1], key)]
    if (one is None) != (other is None):
        differs = ["presence"]
    return {"path": path, "differs": differs, "one": sides[0], "other": sides[1]}


def _at(side: dict[str, Any] | None, key: str) -> Any:
    """What is compared: of a container's output all but what was measured."""
    found = None if side is None else side[key]
    if isinstance(found, dict) and "execution_info" in found:
        return {name: value for name, value in found.items() if name != "execution_info"}
    return found


def _line(step: dict[str, Any]) -> str:
    from nodeling_runtime.workflow.duration import spoken

    sides = [step["one"], step["other"]]
    times = [
        spoken(side["duration_ms"]) if side and side["duration_ms"] is not None else "-" for side in sides
    ]
    text = f"{'!' if step['differs'] else ' '} {visible(step['path'])}  {times[0]} / {times[1]}"
    if step["differs"] == ["presence"]:
        return f"{text}  only in the {'second' if sides[0] is None else 'first'} run"
    for key in step["differs"]:
        said = [one_line(str(side[key]), 60) for side in sides]
        text += f"  {key}: {said[0]} / {said[1]}"
    return text
