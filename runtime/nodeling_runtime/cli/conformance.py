"""`nodectl conformance`: any program judged by the protocol, case by case."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling.errors import ConfigError, NodelingError, nearest
from nodeling_runtime.cli.failure import EXIT_FAILED, EXIT_OK
from nodeling_runtime.cli.output import is_terminal, print_json, talk

if TYPE_CHECKING:
    from nodeling.testing.conformance import Case, CaseResult, Report

STATUSES = ("passed", "failed", "skipped")


@click.command("conformance", context_settings={"ignore_unknown_options": False})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--only", metavar="CASES", multiple=True, help="Only these: an id, or a pattern such as 'framing.*'."
)
@click.option(
    "--claims",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A capabilities.json; without it the program's own handshake says what it claims.",
)
@click.option("--variant", metavar="NAME", help="Which variant of the claims; needed when there are several.")
@click.option(
    "--channel", type=click.Choice(["stdio", "fd"]), default="stdio", show_default=True, help="How to talk."
)
@click.option("--input", "probe", metavar="JSON", default="{}", help="An input that the node takes.")
@click.option("--node", metavar="NAME", help="The name calls carry; without it, the name the program gives.")
@click.option("--jobs", metavar="N", type=click.IntRange(1, 64), default=None, help="Cases played at once.")
@click.argument("words", metavar="-- COMMAND...", nargs=-1, required=True)
def command(words: tuple[str, ...], **given: Any) -> int:
    """Judge the program that COMMAND starts by the protocol of nodes.

    Each case starts it afresh and speaks raw frames to it. Cases about what it does not claim are skipped.
    The exit code is 1 when a case failed, or when there was nothing to judge.
    """
    from nodeling.testing.conformance import load_cases, run_suite
    from nodeling.testing.conformance.discovery import environment

    words = _program(words)
    cases = _wanted(load_cases(), given["only"])
    probe = _probe(given["probe"])
    channel = given["channel"]
    claims, node = _claims(words, channel, given)
    progress = _Progress(len(cases), given["as_json"])
    report = run_suite(
        words,
        channel,
        claims,
        cases=cases,
        env=environment(),
        node=node,
        probe=probe,
        jobs=given["jobs"] or min(4, os.cpu_count() or 1),
        told=progress.hear,
    )
    progress.end()
    if given["as_json"]:
        print_json({"ok": report.is_green, "claims": sorted(claims), **report.to_json()})
    else:
        _print(report)
    return EXIT_OK if report.is_green else EXIT_FAILED


def _program(words: tuple[str, ...]) -> tuple[str, ...]:
    program = shutil.which(words[0])
    if program is None:
        raise ConfigError(
            f"there is no program {words[0]!r}",
            code="file.not_found",
            hint="a file in this folder is written ./NAME",
        )
    return (program, *words[1:])


def _wanted(cases: Sequence[Case], patterns: Sequence[str]) -> list[Case]:
    if not patterns:
        return list(cases)
    found: list[Case] = []
    for pattern in patterns:
        fitting = [case for case in cases if fnmatchcase(case.id, pattern)]
        if not fitting:
            near = nearest(pattern, [case.id for case in cases])
            hint = f"did you mean {near!r}?" if near else "a pattern is 'framing.*' or one case's id"
            raise NodelingError(f"no case is called {pattern!r}", code="usage", hint=hint)
        found.extend(case for case in fitting if case not in found)
    return found


def _probe(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no JSON: {error}", param_hint="--input") from error


def _claims(words: Sequence[str], channel: str, given: dict[str, Any]) -> tuple[list[str], str]:
    """What the program is held to, and the name under which it is called."""
    from nodeling.testing.conformance.discovery import discover, environment

    if given["claims"] is not None:
        return _claims_of(given["claims"], given["variant"]), given["node"] or "kitchen-sink"
    found = discover(words, channel, environment(), None)
    if found.problem:
        raise NodelingError(found.problem, code="conformance.silent", hint="see `nodectl conformance --help`")
    return list(found.claims), given["node"] or found.node


def _claims_of(path: Path, variant: str | None) -> list[str]:
    from nodeling_runtime.documents.reader import read_document

    data = read_document(path).data
    variants = data.get("variants") if isinstance(data, dict) else None
    if not isinstance(variants, dict) or not variants:
        raise ConfigError(f"{path} holds no `variants` with their `claims`", code="config.invalid")
    if variant is None and len(variants) > 1:
        hint = f"say --variant: {', '.join(variants)}"
        raise NodelingError(f"{path} holds several variants", code="usage", hint=hint)
    chosen = next(iter(variants)) if variant is None else variant
    if chosen not in variants:
        near = nearest(chosen, variants)
        hint = f"did you mean {near!r}?" if near else f"there is {', '.join(variants)}"
        raise NodelingError(f"{path} has no variant {chosen!r}", code="usage", hint=hint)
    return [str(claim) for claim in variants[chosen].get("claims", [])]


class _Progress:
    """How far it has come, on stderr: a counter on a terminal, and each failure as it happens."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total = total
        self._done = 0
        self._counts = is_terminal() and not quiet
        self._tells = not quiet

    def hear(self, result: CaseResult) -> None:
        """One more case is judged."""
        from nodeling.testing.conformance.report import told_of

        self._done += 1
        if result.status == "failed" and self._tells:
            self._clear()
            for line in told_of(result):
                talk(line)
        if self._counts:
            click.echo(f"\r{self._done} of {self._total}", nl=False, err=True)

    def end(self) -> None:
        """All are judged."""
        self._clear()

    def _clear(self) -> None:
        if self._counts:
            click.echo("\r\x1b[K", nl=False, err=True)


def _print(report: Report) -> None:
    areas: dict[str, dict[str, int]] = {}
    for result in report.results:
        row = areas.setdefault(result.id.partition(".")[0], dict.fromkeys(STATUSES, 0))
        row[result.status] += 1
    click.echo(f"{'':<12} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for area, row in areas.items():
        click.echo(_row(area, row.values()))
    total = [len(report.of(status)) for status in STATUSES]
    click.echo(_row("all", total))
    if not report.of("passed") and not report.of("failed"):
        talk("nothing was judged: the program claims nothing that these cases ask for")


def _row(name: str, counts: Iterable[int]) -> str:
    passed, failed, skipped = counts
    return f"{name:<12} {passed:>7} {failed:>7} {skipped:>8}"
