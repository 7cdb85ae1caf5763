"""Measures what a call to a warm node costs in each language, beside a raw pipe to an echo in C.

    python -m benchmarks languages [--rounds N] [--size BYTES] [--only a,b] [--realtime] [--json FILE]

Every language's kitchen sink echoes the same value through the host's own transport: one call at a time,
and with 32 callers at once, all of them served by one process. Everything is pinned to one core and takes
turns. A language whose tools are missing is named with the reason. TypeScript is compiled to JavaScript.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from benchmarks.c_echo import CEcho
from benchmarks.environments import cache_folder
from benchmarks.machine import machine
from benchmarks.transport import rows_of, transport
from benchmarks.turns import Contestant, in_turn, pin, ratios, rounded, set_apart, spread

from languages import Language, languages
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.engine.loaded import registry_for
from nodeling_runtime.registry import NodeSpec

ROUNDS = 9
SIZE = 200
AT_ONCE = 32
CALLS = 300
CONCURRENT_CALLS = 1_000
SLOW = {"bash": 20}  # so many times fewer calls
FLOOR = "raw pipe, C"
COLUMNS = ("serial", f"{AT_ONCE} at once")


@dataclass(frozen=True, slots=True)
class Entrant:
    """One language, ready to be called."""

    language: str
    title: str
    serial: NodeSpec
    concurrent: NodeSpec
    how: str  # what its process does with 32 callers


def main(arguments: list[str] | None = None) -> int:
    """Measure every language, print a table, and write the figures when asked to."""
    parser = argparse.ArgumentParser(prog="benchmarks languages", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of turns (%(default)s)")
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of JSON that are echoed (%(default)s)")
    parser.add_argument("--only", metavar="A,B", help="these languages alone")
    parser.add_argument(
        "--realtime", action="store_true", help="run before everybody else's processes (root)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time as JSON")
    given = parser.parse_args(arguments)
    only = None if given.only is None else given.only.split(",")
    with tempfile.TemporaryDirectory(prefix="nodeling-bench-") as folder:
        entrants, absent = entrants_in(Path(folder), only)
        pin()
        if given.realtime:
            set_apart()
        times = asyncio.run(_all(entrants, max(1, given.rounds), given.size))
        close_all()
    report = {
        "machine": machine(),
        "size": given.size,
        "realtime": given.realtime,
        "rows": _rows(entrants, times),
        "absent": absent,
        "times_us": rounded(times),
    }
    print("\n".join(table(report)))
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


# -- who takes part


def entrants_in(root: Path, only: list[str] | None) -> tuple[list[Entrant], dict[str, str]]:
    """The languages that are here, as nodes of a project in `root`; and the others with the reason."""
    absent, commands = {}, {}
    for one in languages():
        missing = [program for program in one.needs if shutil.which(program) is None]
        if only is not None and one.language not in only:
            continue
        if missing:
            absent[one.title] = f"{missing[0]} is not installed"
            continue
        print(f"{one.title}: building", file=sys.stderr)
        commands[one.language] = (_optimised(one), *_variants(_optimised(one)))
    for number, (one, serial, concurrent, _) in enumerate(commands.values(), 1):
        os.environ.update(one.environment())
        _write_node(root, one, f"{number}.0.0", serial)
        _write_node(root, one, f"{number}.1.0", concurrent)
    registry = registry_for(root, [root / "nodes"], installed=False)
    return [
        Entrant(one.language, one.title, _spec(registry, f"{n}.0.0"), _spec(registry, f"{n}.1.0"), how)
        for n, (one, _, _, how) in enumerate(commands.values(), 1)
    ], absent


def _optimised(one: Language) -> Language:
    """The language as its users build it; the conformance kit takes a faster build of Rust's."""
    build = [["--release" if word == "--quiet" else word for word in command] for command in one.build]
    start = [word.replace("{out}/debug/", "{out}/release/") for word in one.start]
    return replace(one, build=build, start=start, builds=cache_folder() / "kitchen-sinks")


def _variants(one: Language) -> tuple[list[str], list[str], str]:
    """The commands for one call at a time and for many at once, and what the latter does."""
    variants = one.capabilities["variants"]
    for name in ("threads", "async"):
        if name in variants:
            command = one.command(name)
            command[command.index("--concurrency") + 1] = str(AT_ONCE)
            return one.command("serial"), command, name
    return one.command("serial"), one.command("serial"), "one by one"


def _write_node(root: Path, one: Language, version: str, command: list[str]) -> None:
    folder = root / "nodes" / f"kitchen-sink@{version}"
    folder.mkdir(parents=True)
    channel = one.capabilities["channels"][0]
    runtime = {"type": "runtime.command", "command": command, "protocol": "nsp", "channel": channel}
    manifest = {
        "name": "kitchen-sink",
        "version": version,
        "inputs": True,
        "output": True,
        "env": sorted(one.env),
        "runtime": runtime,
    }
    (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")


def _spec(registry: Any, version: str) -> NodeSpec:
    found = registry.find(f"kitchen-sink@{version}")
    if not isinstance(found, NodeSpec):
        raise SystemExit(str(found))
    return found


# -- the turns


async def _all(entrants: list[Entrant], rounds: int, size: int) -> dict[str, dict[str, list[float]]]:
    # One process serves all callers of a language, or the table would tell the number of cores; bounds that
    # differ in something keep them from sharing that one place.
    bounds = [Bounds(most_workers=1, idle_ttl=300.0 + n) for n in range(2 * len(entrants))]
    dispatchers = [WorkerDispatcher(one) for one in bounds]
    echo = CEcho()
    value = {"do": "echo", "value": rows_of(size)}

    def calls(language: str, many: int) -> int:
        return max(AT_ONCE, many // SLOW.get(language, 1))

    def turn(number: int, spec: NodeSpec, count: int, at_once: int) -> Contestant:
        return lambda: transport(dispatchers[number], spec, value, count, at_once)

    async def floor(count: int, at_once: int) -> float:
        return echo.measured(value, count, at_once)

    serial: dict[str, Contestant] = {FLOOR: lambda: floor(CALLS, 1)}
    at_once: dict[str, Contestant] = {FLOOR: lambda: floor(CONCURRENT_CALLS, AT_ONCE)}
    for n, one in enumerate(entrants):
        serial[one.title] = turn(2 * n, one.serial, calls(one.language, CALLS), 1)
        many = calls(one.language, CONCURRENT_CALLS)
        at_once[one.title] = turn(2 * n + 1, one.concurrent, many, AT_ONCE)
    times = {}
    try:
        for name, contestants in zip(COLUMNS, (serial, at_once), strict=True):
            print(f"{name}: {rounds} rounds", file=sys.stderr)
            times[name] = await in_turn(contestants, rounds)
    finally:
        echo.close()
        for dispatcher in dispatchers:
            await dispatcher.close()
    return times


# -- the report


def _rows(entrants: list[Entrant], times: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    how: dict[str, Callable[[], str] | str] = {one.title: one.how for one in entrants}
    return [
        {
            "language": title,
            "many": how.get(title, "in one write"),
            **{
                column: rounded({"us": spread(found[title]), "ratio": ratios(found[title], found[FLOOR])})
                for column, found in times.items()
            },
        }
        for title in times[COLUMNS[0]]
    ]


def table(report: dict[str, Any]) -> list[str]:
    """The figures as lines of text."""
    lines = [
        f"an echo of {report['size']} B through a warm worker, us a call: medians; x raw is beside {FLOOR}",
        "",
        f"{'':14}"
        + "".join(f"{column:>12} {'x raw':>7} {'middle half':>15}" for column in COLUMNS)
        + "  served",
    ]
    for row in report["rows"]:
        line = f"{row['language']:14}"
        for column in COLUMNS:
            us, ratio = row[column]["us"], row[column]["ratio"]
            middle = f"{ratio['low']:.1f} .. {ratio['high']:.1f}"
            line += f"{us['median']:12.1f} {ratio['median']:7.1f} {middle:>15}"
        lines.append(f"{line}  {row['many']}")
    lines.extend(f"{title}: not measured, {reason}" for title, reason in report["absent"].items())
    return lines


if __name__ == "__main__":
    sys.exit(main())
