"""`nodectl check`: everything wrong with workflows and node folders, at once, without running a node.

Invariant: no node's code is imported here. `--code` asks a process of its own what the code declares.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling._dataclass import dataclass
from nodeling_runtime.cli.failure import EXIT_DATA, EXIT_FAILED, EXIT_OK
from nodeling_runtime.cli.foreign import format_options, reading_from
from nodeling_runtime.cli.inputs import Folder

if TYPE_CHECKING:
    from nodeling.errors import Fault
    from nodeling_runtime.formats import Reading

SUFFIXES = (".yaml", ".yml", ".json", ".jsonc", ".xml")
WORKFLOW_FOLDERS = ("", "workflows")
MOST_UNASKED = 2**20  # bytes; a larger file is read as a workflow only when it speaks of steps
MANIFEST = "config.json"


@dataclass(slots=True)
class Findings:
    """What was looked at, and what was wrong with it."""

    checked: list[tuple[str, str]] = field(default_factory=list)  # (kind, file)
    faults: list[Fault] = field(default_factory=list)

    def count(self, severity: str) -> int:
        """How many faults are errors, or warnings."""
        return sum(1 for fault in self.faults if fault.severity == severity)

    def exit_code(self, strict: bool) -> int:
        """65 with an error, 1 with a warning that `--strict` forbids, else 0."""
        if self.count("error"):
            return EXIT_DATA
        return EXIT_FAILED if strict and self.count("warning") else EXIT_OK

    def to_json(self, strict: bool) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "ok": self.exit_code(strict) == 0,
            "checked": [{"kind": kind, "file": file} for kind, file in self.checked],
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "faults": [fault.to_json() for fault in self.faults],
        }

    def summary(self) -> str:
        """One line on all of it."""
        kinds = [kind for kind, _ in self.checked]
        looked = " and ".join(
            _counted(kinds.count(kind), kind) for kind in ("workflow", "node") if kinds.count(kind)
        )
        errors, warnings = self.count("error"), self.count("warning")
        said = _counted(errors, "error") if errors else "no errors"
        if warnings:
            said += f", {_counted(warnings, 'warning')}"
        return f"{looked or 'nothing'} checked: {said}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


@click.command("check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings fail (exit 1); what cannot be decided is one.")
@click.option(
    "--code", is_flag=True, help="Also ask each @node function whether its config.json agrees. Imports it."
)
@click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
@format_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    files: tuple[Path, ...],
    strict: bool,
    code: bool,
    folders: tuple[Path, ...],
    as_json: bool,
    **given: Any,
) -> int:
    """List everything wrong with workflows and node folders; nothing is run.

    FILES are workflow files, node folders, their config.json, or folders of those. Without any, the
    project's nodes and workflows are checked.
    """
    from nodeling_runtime.cli.faults import lines_of
    from nodeling_runtime.cli.output import print_json, talk

    _refuse_absent(files)
    reading = reading_from({**given, "dry_run": True})  # a session that is bound to nothing is no fault here
    findings = check_paths(files or _project(), folders, code=code, strict=strict, reading=reading)
    if as_json:
        print_json(findings.to_json(strict))
    else:
        for line in lines_of(findings.faults):
            click.echo(line)
        talk(findings.summary())
    return findings.exit_code(strict)


def _refuse_absent(paths: Sequence[Path]) -> None:
    from nodeling.errors import ConfigError, nearest

    for path in paths:
        try:
            if path.exists():
                continue
        except PermissionError as error:
            message = f"{str(path)!r} cannot be read: {error.strerror}"
            raise ConfigError(message, code="document.unreadable") from error
        near = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else None
        hint = f"did you mean {str(path.with_name(near))!r}?" if near else None
        raise ConfigError(f"there is no file {str(path)!r}", code="file.not_found", hint=hint)


def check_paths(
    paths: Sequence[Path],
    folders: Sequence[Path] = (),
    *,
    code: bool = False,
    strict: bool = False,
    reading: Reading | None = None,
) -> Findings:
    """Check workflow files, node folders, and folders of either."""
    from nodeling.formats import Wishes
    from nodeling_runtime.formats import Reading

    if reading is None:
        reading = Reading(wishes=Wishes(dry_run=True))
    findings = Findings()
    for path in paths:
        for kind, target in _targets(path):
            if (kind, str(target)) in findings.checked:
                continue
            findings.checked.append((kind, str(target)))
            if kind == "node":
                _check_node(findings, target.parent, code)
            else:
                _check_workflow(findings, target, folders, strict, reading)
    for folder in folders:
        for found in _node_files(folder):
            if ("node", str(found)) in findings.checked:
                continue
            findings.checked.append(("node", str(found)))
            _check_node(findings, found.parent, code)
    findings.faults.extend(_clashes(findings, folders))
    findings.faults[:] = dict.fromkeys(findings.faults)
    return findings


# -- what there is to check


def _project() -> list[Path]:
    from nodeling_runtime.project import project_root

    here = Path.cwd()
    root = project_root(here)
    return list(dict.fromkeys([Path(), *([] if root == here else [_near(root)])]))


def _near(path: Path) -> Path:
    return Path(os.path.relpath(path))


def _targets(path: Path) -> Iterator[tuple[str, Path]]:
    if path.name == MANIFEST:
        yield "node", path
    elif path.is_file():
        yield "workflow", path
    elif (path / MANIFEST).is_file():
        yield "node", path / MANIFEST
    else:
        holder = path if path.name == "nodes" else path / "nodes"
        yield from (("node", found) for found in _node_files(holder))
        for folder in WORKFLOW_FOLDERS:
            yield from (("workflow", found) for found in _workflow_files(path / folder))


def _node_files(folder: Path) -> list[Path]:
    from nodeling_runtime.node_files import node_folders

    return [found / MANIFEST for found in node_folders(folder)] if folder.is_dir() else []


def _workflow_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if (
            path.suffix in SUFFIXES
            and path.name != MANIFEST
            and path.is_file()
            and _looks_like_workflow(path)
        ):
            yield path


def _looks_like_workflow(path: Path) -> bool:
    """Whether a file has `steps` or is one of another system; a broken one counts when it speaks of steps.

    One that cannot be read counts: what is wrong with a project is not to be passed over.
    """
    from nodeling.errors import ConfigError
    from nodeling_runtime.documents.reader import read_document
    from nodeling_runtime.formats import is_foreign

    if not os.access(path, os.R_OK):
        return True
    if path.stat().st_size > MOST_UNASKED and b"steps" not in path.read_bytes():
        return False  # a large file of data is not even parsed
    try:
        if is_foreign(path):
            return True
        data = read_document(path).data
    except ConfigError:
        text = path.read_text(encoding="utf-8", errors="replace")
        return any(line.lstrip(" {\"'").startswith("steps") for line in text.splitlines())
    return isinstance(data, dict) and "steps" in data


# -- checking


def _check_workflow(
    findings: Findings, path: Path, folders: Sequence[Path], strict: bool, reading: Reading
) -> None:
    from nodeling.errors import ConfigError
    from nodeling_runtime.engine.loaded import load_file

    try:
        findings.faults.extend(load_file(path, folders, strict=strict, reading=reading).faults)
    except ConfigError as error:
        findings.faults.extend(error.in_file(str(path)))


def _check_node(findings: Findings, folder: Path, code: bool) -> None:
    from nodeling.errors import ConfigError
    from nodeling_runtime.node_check import code_faults, implementation_faults
    from nodeling_runtime.registry import PROJECT, read_node

    try:
        spec = read_node(folder, PROJECT, findings.faults)
    except ConfigError as error:
        findings.faults.extend(error.in_file(str(folder / MANIFEST)))
        return
    faults = implementation_faults(spec)
    findings.faults.extend(faults)
    if code and not faults:
        findings.faults.extend(code_faults(spec))


def _clashes(findings: Findings, folders: Sequence[Path]) -> Iterator[Fault]:
    """Names that two of the checked nodes, or one of them and an installed one, share."""
    from nodeling_runtime.engine.loaded import registry_for

    files = {str(Path(file).resolve()) for kind, file in findings.checked if kind == "node"}
    if not files:
        return
    for specs in registry_for(None, folders).clashes.values():
        if any(str(Path(spec.file).resolve()) in files for spec in specs):
            last = specs[-1]
            owners = " and ".join(f"{spec.owner} ({spec.file})" for spec in specs)
            yield _duplicate(f"{last.name}@{last.manifest.version}", owners, last.file)


def _duplicate(name: str, owners: str, file: str) -> Fault:
    from nodeling.errors import Fault

    return Fault(
        "registry.duplicate",
        f"node {name} has two owners: {owners}",
        file=file,
        hint="rename one of them, or give it another version",
    )
