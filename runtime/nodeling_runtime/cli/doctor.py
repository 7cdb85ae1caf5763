"""`nodectl doctor`: what this installation, this machine and this project can and cannot do."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click

from nodeling._dataclass import dataclass
from nodeling_runtime.cli.failure import EXIT_FAILED, EXIT_OK
from nodeling_runtime.cli.output import print_json, talk

State = Literal["ok", "warning", "failed"]
MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "red"),
}
OLDEST_PYTHON = (3, 11)
ASKING_SECONDS = 10.0  # a program that does not say its version by then is as good as absent
HOW_TO_ASK = {"go": ("version",)}  # what asks for a version where `--version` does not
DISTRIBUTION = "nodeling"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    area: str
    name: str
    state: State
    detail: str
    hint: str | None = None
    traceback: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as `--json` prints it."""
        body: dict[str, Any] = {
            "area": self.area,
            "name": self.name,
            "state": self.state,
            "detail": self.detail,
        }
        body["hint"] = self.hint
        if self.traceback:
            body["traceback"] = self.traceback
        return body


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> int:
    """Look at this installation, its plugins, this machine and this project.

    Exits with 1 when something is broken; what is only missing is a warning.
    """
    findings = list(examine())
    failed = any(finding.state == "failed" for finding in findings)
    if as_json:
        print_json({"ok": not failed, "findings": [finding.to_json() for finding in findings]})
    else:
        _print(findings)
    return EXIT_FAILED if failed else EXIT_OK


def examine() -> Iterator[Finding]:
    """Everything there is to say."""
    yield from _interpreter()
    yield from _dependencies()
    yield from _plugins()
    yield from _toolchains()
    yield from _processes()
    yield from _workers()
    yield from _project()
    yield from _store()


def _print(findings: list[Finding]) -> None:
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            click.echo(click.style(area, bold=True))
        mark, colour = MARKS[finding.state]
        click.echo(f"  {click.style(mark, fg=colour)} {finding.name}: {finding.detail}")
        if finding.hint and finding.state != "ok":
            click.echo(f"      {finding.hint}")
        for line in finding.traceback.splitlines():
            click.echo(f"      {line}")
    failed = sum(1 for finding in findings if finding.state == "failed")
    warned = sum(1 for finding in findings if finding.state == "warning")
    talk(f"{failed} broken, {warned} to know about" if failed or warned else "all is well")


def _interpreter() -> Iterator[Finding]:
    area = "interpreter"
    version = platform.python_version()
    fits = sys.version_info >= OLDEST_PYTHON
    yield Finding(
        area,
        "Python",
        "ok" if fits else "failed",
        f"{version} ({platform.python_implementation()}) at {sys.executable}",
        None if fits else "nodeling needs Python 3.11 or newer",
    )
    linux = sys.platform.startswith("linux")
    yield Finding(
        area,
        "platform",
        "ok" if linux else "warning",
        f"{platform.system()} {platform.release()} on {platform.machine()}, {os.cpu_count()} processors",
        None if linux else "nodeling is tested on Linux",
    )


def _dependencies() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version

    area = "packages"
    try:
        yield Finding(area, DISTRIBUTION, "ok", version(DISTRIBUTION))
    except PackageNotFoundError:
        yield Finding(
            area, DISTRIBUTION, "failed", "it is imported but not installed", "pip install nodeling"
        )
        return
    for requirement in requires(DISTRIBUTION) or []:
        match = re.match(r"([A-Za-z0-9._-]+)\s*(?:>=\s*([0-9.]+))?", requirement)
        if "extra ==" in requirement or match is None:
            continue
        name, least = match.groups()
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(area, name, "failed", "not installed", f"pip install '{name}'")
            continue
        old = least is not None and _numbers(found) < _numbers(least)
        hint = f"pip install --upgrade '{name}>={least}'" if old else None
        yield Finding(area, name, "failed" if old else "ok", found, hint)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def _plugins() -> Iterator[Finding]:
    from nodeling_runtime import plugins
    from nodeling_runtime.engine.loaded import function_table, registry_for
    from nodeling_runtime.toolchains.catalogue import toolchains

    area = "plugins"
    registry = registry_for(None)
    function_table()
    toolchains()
    plugins.template_folders()
    plugins.listeners()
    broken = {(one.name, one.reason): one for one in (*registry.broken, *plugins.load_plugins().broken)}
    named = {(one.distribution, one.name.rpartition(":")[2]) for one in broken.values()}
    for group in (plugins.NODES_GROUP, plugins.HOOKS_GROUP, plugins.COMMANDS_GROUP):
        for name, owner, point in plugins.entry_points(group):
            if (owner, name) not in named:
                yield Finding(area, f"{owner}: {name}", "ok", f"{group} = {point.value}")
    for one in broken.values():
        hint = f"mend it, or keep it out: {plugins.RESTRICT}={_others(one.distribution)}"
        yield Finding(area, f"{one.distribution}: {one.name}", "failed", one.reason, hint, one.traceback)
    count = len(registry.each())
    if registry.faults:
        first = registry.faults[0]
        detail = f"{count} usable, {len(registry.faults)} faults; the first: {first}"
        yield Finding(area, "nodes", "warning", detail, "`nodectl nodes list` shows all of them")
    else:
        yield Finding(area, "nodes", "ok", f"{count} usable")


def _others(distribution: str) -> str:
    from nodeling_runtime import plugins

    groups = (plugins.NODES_GROUP, plugins.HOOKS_GROUP, plugins.COMMANDS_GROUP)
    owners = {owner for group in groups for _, owner, _ in plugins.entry_points(group)}
    return ",".join(sorted(owners - {distribution}))


def _toolchains() -> Iterator[Finding]:
    """The programs that the languages there are need, each once."""
    from nodeling_runtime.toolchains.catalogue import find_program, toolchains

    area = "programs"
    wanted: dict[str, list[str]] = {}
    programs = {}
    for kind, toolchain in sorted(toolchains().items()):
        for program in (*toolchain.needs, *toolchain.build_needs):
            programs[program.name] = program
            if kind not in wanted.setdefault(program.name, []):
                wanted[program.name].append(kind)
    for name, kinds in wanted.items():
        path = find_program(programs[name])
        if path is None:
            hint = f"for {' and '.join(kinds)}: apt-get install {programs[name].package}"
            yield Finding(area, name, "warning", "not found", hint)
        else:
            question = (name, *HOW_TO_ASK.get(name, ("--version",)))
            yield Finding(area, name, "ok", f"{_version(path, question)} at {path}")


def _version(path: str, question: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (a program of the host's PATH, asked for its version)
            [path, *question[1:]],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=ASKING_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "it does not say its version"
    found = re.search(r"v?(\d+(\.\d+)+)", done.stdout or done.stderr)
    return found.group(1) if found else "unknown version"


def _processes() -> Iterator[Finding]:
    area = "exec nodes"
    works, detail = _pidfd()
    yield Finding(
        area,
        "pidfd",
        "ok" if works else "warning",
        detail,
        None
        if works
        else "the end of a program is waited for in another way; nothing is lost but a little time",
    )
    readable = Path(f"/proc/{os.getpid()}/environ").is_file()
    yield Finding(
        area,
        "/proc",
        "ok" if readable else "warning",
        "processes can be found by their mark" if readable else "not there",
        None
        if readable
        else "a process that left its group and its tree (two forks) survives the end of its call",
    )


def _workers() -> Iterator[Finding]:
    from nodeling_runtime.dispatch.worker.promises import promises

    for promise in promises():
        state: State = "ok" if promise.holds else "warning"
        yield Finding("workers", promise.name, state, promise.detail, promise.lost)


def _pidfd() -> tuple[bool, str]:
    if not hasattr(os, "pidfd_open"):
        return False, "this Python has none"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return False, f"the kernel refuses it: {error.strerror}"
    return True, "available"


def _project() -> Iterator[Finding]:
    from nodeling_runtime.project import FOLDER, SECRETS, project_root

    area = "project"
    root = project_root(Path.cwd())
    folder = root / FOLDER
    yield Finding(area, "root", "ok", str(root))
    place = folder if folder.is_dir() else root
    said = "is writable" if folder.is_dir() else "can be made"
    try:
        with tempfile.TemporaryFile(dir=place):
            yield Finding(area, FOLDER, "ok", said)
    except OSError as error:
        hint = f"nothing can be kept there; look at the rights of {place}"
        yield Finding(area, FOLDER, "failed", f"{place} is not writable: {error.strerror}", hint)
    secrets = folder / SECRETS
    try:
        open_to_others = bool(secrets.stat().st_mode & 0o077)
    except OSError:
        return  # there is none, or the folder cannot be looked into, which has been said
    state: State = "failed" if open_to_others else "ok"
    detail = "others can read it" if open_to_others else "only you can read it"
    yield Finding(area, SECRETS, state, detail, f"chmod 600 {secrets}" if open_to_others else None)


def _store() -> Iterator[Finding]:
    """Whether the store that runs started here would be kept in can be used, and is whole."""
    import sqlite3

    from nodeling.errors import NodelingError
    from nodeling_runtime.cli.runs.where import open_existing
    from nodeling_runtime.store.model import OPEN, RunFilter
    from nodeling_runtime.store.opening import default_url

    area, url = "store", default_url(Path.cwd())
    if url is None:
        yield Finding(area, "runs", "ok", "none: what runs here is kept in memory")
        return
    try:
        opened = open_existing(url)
        if opened is None:
            yield Finding(area, "runs", "ok", f"nothing was kept yet; SQLite {sqlite3.sqlite_version}")
            return
        try:
            faults, waiting = opened.check(), len(opened.runs(RunFilter(statuses=OPEN)))
        finally:
            opened.close()
    except NodelingError as error:
        yield Finding(area, "runs", "failed", error.message, error.hint)
        return
    state: State = "failed" if faults else "ok"
    detail = faults[0] if faults else f"whole; {waiting} runs have not ended"
    yield Finding(area, "runs", state, detail, "`nodectl store check` says more" if faults else None)
