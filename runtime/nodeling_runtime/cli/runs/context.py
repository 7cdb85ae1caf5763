"""`nodectl runs context`: what a run's steps wrote into the context, who and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from nodeling.errors import StoreError, nearest
from nodeling.fault import one_line as visible
from nodeling_runtime.cli.output import print_json
from nodeling_runtime.cli.runs.where import existing, find_run, json_option, moment, store_option
from nodeling_runtime.cli.text import one_line
from nodeling_runtime.cli.words import complete_runs

if TYPE_CHECKING:
    from nodeling_runtime.store.model import Event


@click.command("context")
@click.argument("run", shell_complete=complete_runs)
@click.argument("key", required=False)
@store_option
@json_option
def command(run: str, key: str | None, store: str | None, as_json: bool) -> None:
    """Print every write to the context of RUN, or those of KEY, oldest first.

    A step's output stands under the step's name.
    """
    with existing(store) as opened:
        row = find_run(opened, run)
        found = [write for event in opened.events(row.run_id) for write in _writes(event)]
    names = list(dict.fromkeys(write["key"] for write in found))
    if key is not None and key not in names:
        near = nearest(key, names)
        hint = f"did you mean {near!r}?" if near else f"written were {', '.join(names) or 'none'}"
        raise StoreError(f"nothing was written under {key!r}", code="run.step", hint=hint)
    found = [write for write in found if key is None or write["key"] == key]
    if as_json:
        print_json(found)
        return
    for write in found:
        what = "deleted" if write["deleted"] else one_line(_text(write["value"]), 100)
        again = f" (generation {write['generation']})" if write["generation"] else ""
        click.echo(visible(f"{moment(write['at'])} {write['key']} = {what}  by {write['by']}{again}"))


def _writes(event: Event) -> Iterator[dict[str, Any]]:
    """What one event wrote: its own alone, not what its step passes on from others."""
    import orjson

    at = {"at": event.at, "generation": event.gen, "seq": event.seq}
    if event.value is not None and event.kind in ("step.ended", "step.resolved") and _is_at_the_top(event):
        by = {"key": event.path, "value": orjson.loads(event.value), "by": event.path}
        yield {**by, "deleted": False, **at}
    if event.delta is None or event.kind not in ("step.ended", "run.restarted"):
        return
    for key, write in orjson.loads(event.delta).items():
        if event.kind == "step.ended" and write[1] != event.data["name"]:
            continue
        value, deleted = (write[2], False) if len(write) > 2 else (None, True)
        yield {"key": key, "value": value, "by": event.path or write[1], "deleted": deleted, **at}


def _is_at_the_top(event: Event) -> bool:
    return "of" not in event.data and "/" not in event.path


def _text(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()
