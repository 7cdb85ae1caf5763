"""Does the same work on nodeling and on its peers, in turn, and tells all figures.

    python -m benchmarks compare [--peers NAMES] [--only PARTS] [--rounds N] [--realtime] [--json FILE]

Each peer runs in an environment of its own, installed by the first comparison that needs it; one that cannot
be installed or does not answer is listed with the reason. `python -m benchmarks page FILE` makes the page of
the documentation out of the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.comparisons import durable, engine, resources, splitting, workers
from benchmarks.comparisons.stage import Stage
from benchmarks.figures import Group, table
from benchmarks.machine import machine
from benchmarks.peer import KINDS, chosen, started
from benchmarks.turns import pin, set_apart

from nodeling_runtime.dispatch.worker.hub import close_all

ROUNDS = 9
SECONDS = 2.5  # for a contest; a part may allow its own more
PARTS: dict[str, Callable[[Stage], Awaitable[list[Group]]]] = {
    "engine": engine.groups,
    "workers": workers.groups,
    "durable": durable.groups,
    "splitting": splitting.groups,
    "resources": resources.groups,
}
ALWAYS = "asyncio,futures"  # they come with Python


def main(arguments: list[str] | None = None) -> int:
    """Run every comparison, print its table, and write the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks compare", description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", default="all", help="all, none, or names with commas (%(default)s)")
    parser.add_argument("--only", metavar="A,B", help=f"some parts alone: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each contest (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each contest (%(default)s)")
    parser.add_argument(
        "--realtime", action="store_true", help="run before everybody else's processes (root)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    given = parser.parse_args(arguments)
    try:
        kinds = chosen(f"{ALWAYS},{given.peers}" if given.peers not in ("all", "none", "") else given.peers)
    except ValueError as error:
        parser.error(str(error))
    if given.peers == "none":
        kinds = chosen(ALWAYS)
    parts = list(PARTS) if given.only is None else given.only.split(",")
    unknown = [name for name in parts if name not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]}: there are {', '.join(PARTS)}")
    about = machine()  # before this adds to the load
    pin()
    if given.realtime:
        set_apart()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nodeling-bench-") as folder:
        stage = Stage(
            Path(folder), max(1, given.rounds), given.seconds, wanted=frozenset(k.name for k in kinds)
        )
        # An environment is made in the usual way; what is measured afterwards is not.
        stage.peers, stage.absent = started([kind for kind in kinds if kind in KINDS], sys.stderr)
        try:
            groups = _all(stage, parts)
        finally:
            for peer in stage.peers.values():
                peer.close()
    report = {
        "machine": about,
        "realtime": given.realtime,
        "took_s": round(time.monotonic() - began),
        "peers": [kind.label for kind in kinds],
        "absent": stage.absent,
        "groups": groups,
        "goals": goals.judged(groups),
    }
    print("\n".join(summary(report)))
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _all(stage: Stage, parts: list[str]) -> list[dict[str, Any]]:
    found = []
    for name in parts:
        began = time.monotonic()
        # A loop of its own, and no worker of the part before: each begins as the others do.
        for group in asyncio.run(_part(name, stage)):
            found.append(group.to_json())
            print("\n".join([*table(found[-1]), ""]), flush=True)
        close_all()
        stage.say(f"{name}: {time.monotonic() - began:.0f} s")
    return found


async def _part(name: str, stage: Stage) -> list[Group]:
    return await PARTS[name](stage)


def summary(report: dict[str, Any]) -> list[str]:
    """The goals, the peers that did not take part, and the time that all took."""
    lines = [*goals.table(report["goals"]), ""] if report["goals"] else []
    lines += [f"{label}: not measured, {reason}" for label, reason in report["absent"].items()]
    about = report["machine"]
    lines.append(
        f"{report['took_s']} s on {about['cpus']} cores of {about['cpu']}, "
        f"Python {about['versions']['Python']}, load {about['load']} at the start"
    )
    return lines


if __name__ == "__main__":
    sys.exit(main())
