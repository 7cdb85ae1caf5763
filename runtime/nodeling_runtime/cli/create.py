"""`nodectl create`: a node, a workflow, a project or a plugin from a template."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.words import complete_templates

if TYPE_CHECKING:
    from nodeling_runtime.scaffold import Kind, Template

NODES = "nodes"
WORKFLOWS = "workflows"
SPOKEN = {"node": "nodejs", "js": "nodejs", "javascript": "nodejs", "ts": "typescript", "golang": "go"}
TYPES = ("module", "local", "class")


@click.group("create")
def command() -> None:
    """Create a node, a workflow, a project or a plugin from a template.

    Nothing is overwritten without --force. `nodectl create node --list` shows the templates.
    """


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What every kind of thing can be created with."""
    for decorate in reversed(
        (
            click.argument("path", required=False, type=click.Path(path_type=Path)),
            click.option("--name", help="What it is called: small letters, digits and hyphens."),
            click.option("--force", is_flag=True, help="Overwrite files that are there."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        )
    ):
        function = decorate(function)
    return function


@command.command("node")
@_options
@click.option(
    "--template",
    shell_complete=complete_templates,
    help="Which template; --list shows them.  [default: python]",
)
@click.option("--runtime", help="The language, as in python, bash, javascript, go.")
@click.option("--type", "kind", help="module or local (a node of this project), class, or runtime.LANGUAGE.")
@click.option("--list", "listed", is_flag=True, help="Show the templates and create nothing.")
def create_node(
    path: Path | None,
    name: str | None,
    force: bool,
    as_json: bool,
    template: str | None,
    runtime: str | None,
    kind: str | None,
    listed: bool,
) -> None:
    """Create a node: a folder with a config.json, its code and its examples.

    PATH is the new folder, or the folder to make it in when its last part is not the node's name. A
    bare word is the name. Without PATH it goes to nodes/ of the project.
    """
    from nodeling_runtime.scaffold import find_template, valid_name

    if listed:
        _list_templates("node", as_json)
        return
    chosen = find_template("node", _template(template, runtime, kind))
    _agree(chosen, runtime)
    if path is not None and _is_word(path) and name is None:
        path, name = None, str(path)
    given = name or (path.name if path is not None else _ask(chosen.default_name))
    given = valid_name(given, "node")
    _refuse_taken(given)
    folder = _folder(path, given, _nodes_folder())
    files = _node_files(chosen, given)
    written = _write(files, folder, force)
    _report("node", given, chosen, folder, written, as_json, _node_steps(given, folder))


@command.command("workflow")
@_options
def create_workflow(path: Path | None, name: str | None, force: bool, as_json: bool) -> None:
    """Create a small workflow that runs, and the node it uses.

    PATH is the new file; a bare word is the name.
    """
    from nodeling_runtime.scaffold import find_template, render, valid_name

    chosen = find_template("workflow", "workflow")
    root, folder, file = _home(), "", None
    if path is not None and path.suffix in (".yaml", ".yml"):
        root, file, given = path.parent, path.name, name or path.stem
    elif path is not None and not _is_word(path):
        root, given = path, name or chosen.default_name
    else:
        folder = f"{WORKFLOWS}/" if (root / WORKFLOWS).is_dir() and _is_marked(root) else ""
        given = name or (str(path) if path is not None else _ask(chosen.default_name))
    given = valid_name(given, "workflow")
    files = render(chosen, given)
    file = file or f"{folder}{given}.yaml"
    files[file] = files.pop(f"{given}.yaml")
    written = _write(files, root, force, keep=(f"{NODES}/",))
    shown = _near(root / file)
    steps = [f"nodectl check {shown}", f"nodectl run {shown}", f"nodectl graph {shown}"]
    _report("workflow", given, chosen, root / file, written, as_json, steps)


@command.command("project")
@_options
def create_project(path: Path | None, name: str | None, force: bool, as_json: bool) -> None:
    """Create a project: a workflow, two nodes, a README. PATH is its folder."""
    _create_folder(
        "project", path, name, force, as_json, ["nodectl check", "nodectl test", "nodectl run workflow.yaml"]
    )


@command.command("plugin")
@_options
def create_plugin(path: Path | None, name: str | None, force: bool, as_json: bool) -> None:
    """Create an installable package that brings nodes, with a test. PATH is its folder."""
    steps = ['pip install -e ".[test]"', "pytest", "nodectl nodes list"]
    _create_folder("plugin", path, name, force, as_json, steps)


def _create_folder(
    kind: Kind, path: Path | None, name: str | None, force: bool, as_json: bool, steps: Sequence[str]
) -> None:
    from nodeling_runtime.scaffold import find_template, render, valid_name

    chosen = find_template(kind, kind)
    given = name or (path.resolve().name if path is not None else _ask(chosen.default_name))
    given = valid_name(given, kind)
    folder = path if path is not None else Path(given)
    written = _write(render(chosen, given), folder, force)
    if kind == "project":
        (folder / ".nodeling").mkdir(exist_ok=True)
    first = [] if folder.resolve() == Path.cwd() else [f"cd {_near(folder)}"]
    _report(kind, given, chosen, folder, written, as_json, [*first, *steps])


# -- what is meant


def _template(template: str | None, runtime: str | None, kind: str | None) -> str:
    """The template's name, from whichever option says it."""
    from nodeling.errors import NodelingError, nearest

    if kind is not None and kind.startswith("runtime."):
        runtime = runtime or kind.removeprefix("runtime.")
    elif kind is not None and kind not in TYPES:
        near = nearest(kind, TYPES)
        hint = f"did you mean {near!r}?" if near else f"it is {', '.join(TYPES)} or runtime.LANGUAGE"
        raise NodelingError(f"no node type is called {kind!r}", code="usage", hint=hint)
    language = _language(runtime)
    if template is not None:
        return template
    if kind == "class" and language == "python":
        return "class"
    return _by_language()[language]


def _by_language() -> dict[str, str]:
    """The template that a language's name means.

    The one with the language's SDK, whose node is warm and can be asked by `nodectl conformance`; else the
    one called like the language; else its first.
    """
    from nodeling_runtime.scaffold import read_templates

    found: dict[str, Template] = {}
    for template in read_templates():
        if template.kind != "node":
            continue
        rival = found.get(template.runtime)
        if rival is None or _closeness(template) > _closeness(rival):
            found[template.runtime] = template
    return {language: template.name for language, template in found.items()}


def _closeness(template: Template) -> tuple[bool, bool]:
    return template.sdk is not None, template.name == template.runtime


def _language(runtime: str | None) -> str:
    """The language, when there is a template in it."""
    from nodeling.errors import NodelingError, nearest
    from nodeling_runtime.toolchains.catalogue import PREFIX, toolchains

    if runtime is None:
        return "python"
    known = _by_language()
    word = SPOKEN.get(runtime.lower(), runtime.lower())
    if word in known:
        return word
    languages = [name.removeprefix(PREFIX) for name in toolchains()]
    if word in languages:
        raise NodelingError(
            f"no template makes a `{PREFIX}{word}` node",
            code="toolchain.unavailable",
            hint=f"there are templates for {', '.join(sorted(known))}; `runtime.command` runs any program",
        )
    near = nearest(word, (*known, *languages, *SPOKEN))
    hint = f"did you mean {near!r}?" if near else f"there is {', '.join(sorted(known))}"
    raise NodelingError(f"no runtime is called {runtime!r}", code="usage", hint=hint)


def _agree(template: Template, runtime: str | None) -> None:
    from nodeling.errors import NodelingError

    if runtime is not None and _language(runtime) != template.runtime:
        raise NodelingError(
            f"the template {template.name!r} is written in {template.runtime}, not in {runtime}",
            code="usage",
            hint="leave one of --template and --runtime out",
        )


def _ask(default: str) -> str:
    """The name: asked for on a terminal, the default elsewhere."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        answer: str = click.prompt("Name", default=default, err=True)
        return answer
    return default


def _is_word(path: Path) -> bool:
    return len(path.parts) == 1 and path.parts[0] not in (".", "..") and not path.is_dir()


def _refuse_taken(name: str) -> None:
    """A name that an installed package brings would have two owners from now on."""
    from nodeling.errors import NodelingError
    from nodeling_runtime.registry import NodeSpec, build_registry

    found = build_registry().find(name)
    if isinstance(found, NodeSpec):
        raise NodelingError(
            f"{found.owner} brings a node called {name!r}",
            code="create.exists",
            hint=f"call yours 'my-{name}'",
        )


# -- where it goes


def _home() -> Path:
    """The project's root; an empty folder is one of its own."""
    from nodeling_runtime.project import project_root

    here = Path.cwd()
    if (here / NODES).is_dir() or not any(here.iterdir()):
        return Path()
    root = project_root(here)
    return Path() if root == here.resolve() else _near(root)


def _is_marked(root: Path) -> bool:
    from nodeling_runtime.project import MARKS

    return any((root / mark).exists() for mark in MARKS)


def _nodes_folder() -> Path:
    return _home() / NODES


def _folder(path: Path | None, name: str, nodes: Path) -> Path:
    if path is None:
        return nodes / name
    return path if path.name == name else path / name


def _near(path: Path) -> Path:
    """A path as short as it can be said from here."""
    try:
        short = Path(os.path.relpath(path))
    except ValueError:
        return path
    return short if len(str(short)) <= len(str(path)) or not path.is_absolute() else path


# -- making it


def _node_files(template: Template, name: str) -> dict[str, bytes]:
    from nodeling.errors import Fault, PluginError
    from nodeling_runtime.registry import build_registry
    from nodeling_runtime.scaffold import copy_node, render

    if template.copies is None:
        return render(template, name)
    found = build_registry().find(template.copies)
    if isinstance(found, Fault):
        raise PluginError(
            f"the template {template.name!r} copies the node {template.copies!r}: {found.message}"
        )
    return copy_node(found, name)


def _write(files: dict[str, bytes], root: Path, force: bool, keep: Sequence[str] = ()) -> list[Path]:
    from nodeling_runtime.scaffold import write_files

    return write_files(files, root, force=force, keep=keep)


def _node_steps(name: str, folder: Path) -> list[str]:
    reachable = folder.parent.resolve() == (Path.cwd() / _nodes_folder()).resolve()
    said = name if reachable else str(_near(folder))
    return [f"nodectl check {_near(folder)}", f"nodectl test {said}"]


def _report(
    kind: str,
    name: str,
    template: Template,
    path: Path,
    written: Sequence[Path],
    as_json: bool,
    steps: Sequence[str],
) -> None:
    files = [str(_near(file)) for file in written]
    if as_json:
        made = {"kind": kind, "name": name, "template": template.name, "path": str(_near(path))}
        print_json({**made, "files": files, "next": list(steps)})
        return
    talk(f"created the {kind} {name} from the template {template.name}:")
    for file in files:
        click.echo(file)
    talk("next:")
    for step in steps:
        talk(f"  {step}")


def _list_templates(kind: str, as_json: bool) -> None:
    from nodeling_runtime.scaffold import read_templates

    found = [template for template in read_templates() if template.kind == kind]
    if as_json:
        print_json(
            [
                {
                    "name": template.name,
                    "aliases": list(template.aliases),
                    "description": template.description,
                    "distribution": template.owner,
                }
                for template in found
            ]
        )
        return
    width = max((len(template.name) for template in found), default=0)
    for template in found:
        also = f" (also {', '.join(template.aliases)})" if template.aliases else ""
        click.echo(f"{template.name:<{width}}  {template.description}{also}")
