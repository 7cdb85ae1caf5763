"""Making files from templates: what `nodectl create` copies.

A template is a folder with a `template.json` that describes it; its files end in `.tmpl`, and
`{{name}}` in their texts and paths stands for a value. A placeholder nobody knows is an error. All files
are made in memory first, so a template that is wrong leaves nothing half written. Ours come through
the same hook as everybody's.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nodeling._dataclass import dataclass
from nodeling.errors import NodelingError, PluginError, nearest
from nodeling_runtime import plugins
from nodeling_runtime.documents.reader import parse_document, read_document
from nodeling_runtime.documents.writer import to_text
from nodeling_runtime.node_files import MANIFEST
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.vendored import vendored_files

Kind = Literal["node", "workflow", "project", "plugin"]
KINDS: tuple[Kind, ...] = ("node", "workflow", "project", "plugin")
SUFFIX = ".tmpl"
ABOUT = "template.json"
LONGEST_NAME = 64

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")
_ALIASES = re.compile(r'\s*"aliases"\s*:\s*\[[^\]]*\]\s*,|,\s*"aliases"\s*:\s*\[[^\]]*\]')
PAGE = "README.md"
_LEFT_BEHIND = ("__pycache__",)


@dataclass(frozen=True, slots=True)
class Template:
    """One template, and who brought it."""

    name: str
    kind: Kind
    folder: Path
    owner: str
    description: str
    default_name: str
    aliases: tuple[str, ...] = ()
    copies: str | None = None  # the node whose folder is copied as it is
    runtime: str = "python"
    sdk: Mapping[str, Any] | None = None  # the files of a language's SDK that a node takes along


def read_templates() -> list[Template]:
    """Every template of every plugin, by name.

    Raises:
        PluginError: A `template.json` is wrong, or two plugins bring the same name.
    """
    found: dict[tuple[str, str], Template] = {}
    for owner, root in plugins.template_folders():
        for about in sorted(root.glob(f"*/{ABOUT}")):
            template = _read(about, owner)
            for name in (template.name, *template.aliases):
                held = found.setdefault((template.kind, name), template)
                if held is not template:
                    owners = f"{held.owner} ({held.folder}) and {owner} ({about.parent})"
                    raise PluginError(
                        f"the template {name!r} has two owners: {owners}", hint="uninstall one of them"
                    )
    unique = {id(template): template for template in found.values()}
    return sorted(unique.values(), key=lambda template: (KINDS.index(template.kind), template.name))


def _read(about: Path, owner: str) -> Template:
    data: Any = read_document(about).data
    folder = about.parent
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind not in KINDS:
        raise PluginError(f"{about} of {owner}: `kind` is one of {', '.join(KINDS)}, not {kind!r}")
    unknown = set(data) - {"kind", "description", "default_name", "aliases", "copies", "runtime", "sdk"}
    if unknown:
        raise PluginError(f"{about} of {owner} has the unknown key {sorted(unknown)[0]!r}")
    return Template(
        name=folder.name,
        kind=kind,
        folder=folder,
        owner=owner,
        description=str(data.get("description", "")),
        default_name=str(data.get("default_name", f"my-{folder.name}")),
        aliases=tuple(data.get("aliases", ())),
        copies=data.get("copies"),
        runtime=str(data.get("runtime", "python")),
        sdk=data.get("sdk"),
    )


def find_template(kind: Kind, name: str) -> Template:
    """The template that a name or an alias means.

    Raises:
        NodelingError: There is none; the nearest is named.
    """
    known: dict[str, Template] = {}
    for template in read_templates():
        if template.kind == kind:
            known.update(dict.fromkeys((template.name, *template.aliases), template))
    if name in known:
        return known[name]
    near = nearest(name, known)
    hint = f"did you mean {near!r}?" if near else f"there is {', '.join(known)}"
    raise NodelingError(f"no {kind} template is called {name!r}", code="usage", hint=hint)


def valid_name(name: str, what: str) -> str:
    """`name`, when it is kebab-case.

    Raises:
        NodelingError: It is not; what it could be is said.
    """
    if _NAME.fullmatch(name) and len(name) <= LONGEST_NAME:
        return name
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]", name)
    kebab = "-".join(words).lower().lstrip("-0123456789")[:LONGEST_NAME].rstrip("-")
    hint = f"call it {kebab!r}" if kebab and kebab != name else "as in `my-node`"
    raise NodelingError(
        f"{name!r} is no name for a {what}: small letters, digits and hyphens, a letter first",
        code="usage",
        hint=hint,
    )


def values_for(name: str) -> dict[str, str]:
    """What the placeholders of a template stand for."""
    words = name.split("-")
    return {
        "name": name,
        "module": "_".join(words),
        "class_name": "".join(word.capitalize() for word in words),
        "node": f"{name}-count-words",
    }


def render(template: Template, name: str) -> dict[str, bytes]:
    """The files a template gives, by their paths inside the new folder.

    Raises:
        PluginError: The template holds a placeholder that nobody knows, or leads out of its folder.
    """
    values = values_for(name)
    files: dict[str, bytes] = {}
    for path in sorted(template.folder.rglob(f"*{SUFFIX}")):
        inside = path.relative_to(template.folder).as_posix()[: -len(SUFFIX)]
        target = _fill(inside, values, path)
        if ".." in Path(target).parts or Path(target).is_absolute():
            raise PluginError(f"{path} of {template.owner} leads out of the new folder")
        files[target] = _fill(path.read_text(encoding="utf-8"), values, path).encode("utf-8")
    files.update(_sdk_files(template))
    if not files:
        raise PluginError(
            f"the template {template.name!r} of {template.owner} holds no file that ends in {SUFFIX}"
        )
    return dict(sorted(files.items()))


def _sdk_files(template: Template) -> dict[str, bytes]:
    """What a template takes along of its language's SDK, so that a node is whole without a network."""
    if template.sdk is None:
        return {}
    try:
        return vendored_files(template.sdk)
    except (LookupError, TypeError) as error:
        raise PluginError(
            f"the template {template.name!r} of {template.owner} takes along what is not here: {error}"
        ) from error


def _fill(text: str, values: Mapping[str, str], path: Path) -> str:
    def value(match: re.Match[str]) -> str:
        word = match.group(1)
        if word not in values:
            near = nearest(word, values)
            hint = f"did you mean {near!r}?" if near else f"there is {', '.join(values)}"
            raise PluginError(f"{path} has a placeholder {word!r} that nobody fills", hint=hint)
        return values[word]

    return _PLACEHOLDER.sub(value, text)


def copy_node(spec: NodeSpec, name: str) -> dict[str, bytes]:
    """The files of a node's folder, its manifest under a new name and without its aliases.

    Raises:
        PluginError: The node has no folder to copy.
    """
    if spec.folder is None:
        raise PluginError(f"node {spec.name!r} of {spec.owner} is made of code: there is no folder to copy")
    files: dict[str, bytes] = {}
    for path in sorted(spec.folder.rglob("*")):
        inside = path.relative_to(spec.folder)
        if path.is_file() and not any(part in _LEFT_BEHIND for part in inside.parts):
            files[inside.as_posix()] = path.read_bytes()
    files[MANIFEST] = renamed_manifest(files[MANIFEST].decode("utf-8"), name).encode("utf-8")
    if PAGE in files:
        files[PAGE] = renamed_page(files[PAGE].decode("utf-8"), spec.name, name).encode("utf-8")
    return files


def renamed_page(text: str, old: str, new: str) -> str:
    """A node's page under another name: its title, the steps that use it and the commands that name it."""
    for before in ("# ", "node: ", "nodectl nodes show "):
        text = text.replace(f"{before}{old}\n", f"{before}{new}\n").replace(
            f"{before}{old}`", f"{before}{new}`"
        )
    return text


def renamed_manifest(text: str, name: str) -> str:
    """A manifest's text under another name, laid out as it was where that is possible."""
    document = parse_document(text, name=MANIFEST)
    wanted = {key: value for key, value in document.data.items() if key != "aliases"}
    wanted["name"] = name
    lines = text.splitlines(keepends=True)
    row, column = document.locate("/name") or (1, 1)
    place = sum(len(line) for line in lines[: row - 1]) + column - 1
    old = json.dumps(document.data["name"])
    edited = text[:place] + json.dumps(name) + text[place + len(old) :]
    edited = _ALIASES.sub("", edited, count=1)
    if parse_document(edited, name=MANIFEST).data == wanted:
        return edited
    return to_text(wanted, "json")


def write_files(
    files: Mapping[str, bytes], root: Path, *, force: bool = False, keep: Iterable[str] = ()
) -> list[Path]:
    """Write files below `root`; those whose path begins with one of `keep` stay when they are there.

    Raises:
        NodelingError: A file is there already and `force` is off, or one cannot be written. What was not
            there before is not there then.
    """
    kept = [
        inside for inside in files if (root / inside).exists() and inside.startswith(tuple(keep) or ("\0",))
    ]
    wanted = {inside: data for inside, data in files.items() if inside not in kept}
    there = [inside for inside in wanted if (root / inside).exists()]
    if there and not force:
        are = f" and {len(there) - 1} more exist" if len(there) > 1 else " exists"
        raise NodelingError(
            f"{root / there[0]}{are} already",
            code="create.exists",
            hint="choose another --name, or overwrite with --force",
        )
    written: list[Path] = []
    made: list[Path] = []
    for inside, data in wanted.items():
        path = root / inside
        try:
            made += _make_folders(path.parent)
            if inside not in there:
                made.append(path)
            path.write_bytes(data)
            if data.startswith(b"#!"):
                path.chmod(0o755)
        except OSError as error:
            _remove(made)
            raise NodelingError(
                f"{path} cannot be written: {error.strerror}", code="create.unwritable"
            ) from error
        written.append(path)
    return written


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; the new ones, outermost first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _remove(made: Sequence[Path]) -> None:
    for path in reversed(made):
        with contextlib.suppress(
            OSError
        ):  # it was not made in the end, or somebody else put something into it
            path.rmdir() if path.is_dir() else path.unlink()
