"""Makes the page of the documentation out of the figures of a comparison.

    python -m benchmarks page [FIGURES] [--languages FILE]

The figures are kept beside the pictures, so that a test can make the page again and compare.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import number
from benchmarks.plots import plot

DOCS = Path(__file__).parents[1] / "docs" / "explanation"
PAGE = "performance.md"
FOLDER = "performance"
# The pictures, in the order of the page; every other group is a table.
PICTURES = (
    "fan",
    "chain",
    "lattice",
    "sleeps",
    "wide",
    "long",
    "call 200 B x1",
    "call 200 B x32",
    "durable fan",
    "durable chain",
    "split io",
    "split cpu",
    "cold",
)
INTRODUCTION = """# Performance

<!-- Made by `python -m benchmarks page`; change benchmarks/page.py instead. -->

What a node costs here, beside bare asyncio, beside the disk and the pipe, and beside other systems that do
the same work. `make bench` makes every figure again on your machine, `make bench PEERS=none` those that need
nothing installed.

Only the ratios mean something elsewhere. Contestants take turns, every second round in the opposite order.
A figure is the median of its rounds, a ratio the median of the rounds' ratios, and the line through a bar is
the middle half. Everything is pinned to one core but for cold starts, memory and splits over cores."""

REALTIME = (
    "The benchmark ran before the others' processes\n(`--realtime`), "
    "which helps with everything but the disk and the speed of the memory."
)
SHARED = "The benchmark took its turns\namong the others' processes, so a single figure may be off by much."


def main(arguments: list[str] | None = None) -> int:
    """Write the page, its pictures and its figures."""
    parser = argparse.ArgumentParser(prog="benchmarks page", description=__doc__.partition("\n")[0])
    parser.add_argument("figures", type=Path, nargs="?", help="of `compare` (default: those of the page)")
    parser.add_argument("--languages", type=Path, help="the figures of `languages`")
    parser.add_argument("--into", type=Path, default=DOCS, help="the folder of the page (%(default)s)")
    given = parser.parse_args(arguments)
    kept = given.into / FOLDER / "figures.json"
    report = json.loads((given.figures or kept).read_text(encoding="utf-8"))
    if given.languages is not None:
        found = json.loads(given.languages.read_text(encoding="utf-8"))
        report["languages"] = {key: found[key] for key in ("size", "rows", "absent", "realtime", "machine")}
    (given.into / FOLDER).mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, text in files(report).items():
        (given.into / name).write_text(text, encoding="utf-8")
    return 0


def files(report: Mapping[str, Any]) -> dict[str, str]:
    """The page and its pictures, by their paths."""
    groups = {group["name"]: group for group in report["groups"]}
    pictures = {name: f"{FOLDER}/{_slug(name)}.svg" for name in PICTURES if name in groups}
    parts = [INTRODUCTION, _machine(report), *_goals(report), *_languages(report)]
    for name, group in groups.items():
        parts.append(f"## {group['title']}\n\n{_sentence(group['what'])}")
        if name in pictures:
            parts.append(f"![{group['title']}]({pictures[name]})")
        parts.append(_rows(group))
    parts += _absent(report)
    found = {path: plot(groups[name]) for name, path in pictures.items()}
    return {PAGE: "\n\n".join(parts) + "\n", **found}


def _machine(report: Mapping[str, Any]) -> str:
    about = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    machine = f"{about['cpus']} cores of {about['cpu']}, {about['memory_gib']} GiB, {about['system']}"
    load = f"its load was {about['load']} on {about['cpus']} cores when the run began"
    how = REALTIME if report["realtime"] else SHARED
    return (
        f"Measured on {about['date']} at commit `{about['commit']}`: {machine}; {versions}.\n"
        f"Peers: {', '.join(report['peers'])}.\n\n"
        f"The machine had other work to do: {load}. {how}"
    )


def _goals(report: Mapping[str, Any]) -> list[str]:
    if not report["goals"]:
        return []
    met = sum(1 for one in report["goals"] if one["met"])
    lines = ["| Path | Measured | Goal | |", "|---|--:|---|---|"]
    for one in report["goals"]:
        verdict = "met" if one["met"] else "**not met**"
        lines.append(f"| {one['path']} | {number(one['value'])} | {one['goal']} | {verdict} |")
    return [
        f"## Goals\n\n{met} of {len(report['goals'])} goals that this run could judge are met.",
        "\n".join(lines),
    ]


def _languages(report: Mapping[str, Any]) -> list[str]:
    found = report.get("languages")
    if found is None:
        return []
    lines = [
        "| | one at a time, µs | x raw pipe | 32 at once, µs | x raw pipe | served |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in found["rows"]:
        one, many = row["serial"], row["32 at once"]
        figures = [one["us"], one["ratio"], many["us"], many["ratio"]]
        cells = " | ".join(number(figure["median"]) for figure in figures)
        lines.append(f"| {row['language']} | {cells} | {row['many']} |")
    text = (
        f"An echo of {found['size']} B through a warm worker and the host's transport, beside an echo in C\n"
        "over raw pipes; TypeScript is compiled to JavaScript. `python -m benchmarks languages` makes it."
    )
    absent = "\n".join(f"- {title}: {reason}" for title, reason in found["absent"].items())
    return [f"## Languages\n\n{text}", "\n".join(lines), *([absent] if absent else [])]


def _rows(group: Mapping[str, Any]) -> str:
    lines = [f"| | {_unit(group['unit'])} | middle half | {_base(group)} |", "|---|--:|--:|--:|"]
    for row in group["rows"]:
        middle = f"{number(row['low'])} to {number(row['high'])}" if row["rounds"] > 1 else "one round"
        ratio = "" if row["ratio"] is None else number(row["ratio"]["median"])
        lines.append(f"| {row['label']} | {number(row['median'])} | {middle} | {ratio} |")
    return "\n".join(lines)


def _base(group: Mapping[str, Any]) -> str:
    return f"x {group['base']}" if group["base"] else ""


def _absent(report: Mapping[str, Any]) -> list[str]:
    if not report["absent"]:
        return []
    lines = [f"- {label}: {reason}" for label, reason in report["absent"].items()]
    return ["## Not measured\n\n" + "\n".join(lines)]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())


def _unit(unit: str) -> str:
    return unit.replace("us ", "µs ")


if __name__ == "__main__":
    sys.exit(main())
