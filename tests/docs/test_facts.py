"""What can drift is compared with what it describes: keys, options, hooks, codes, events, names, links."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
import nodeling.hookspecs
from docs.generated import CONTAINERS, ERRORS, GROUPS, NODES, parts_of, renewed
from docs.pages import DOCS, ROOT, pages
from nodeling import Context, NodeError, Workflow, node, step
from nodeling_runtime.cli import failure
from nodeling_runtime.cli.main import COMMANDS
from nodeling_runtime.workflow import keys

REFERENCE = DOCS / "reference"
SOURCES = [ROOT / "sdk" / "python", ROOT / "runtime", ROOT / "plugins", ROOT / "node_templates"]
CODES = {entry["code"] for entry in json.loads(ERRORS.read_text(encoding="utf-8"))["errors"]}
ALL_PAGES = [*pages(), *sorted((ROOT / "examples").rglob("README.md")), ROOT / "benchmarks" / "README.md"]
PARTED = [page for page in ALL_PAGES if "<!-- generated:" in page.read_text(encoding="utf-8")]


def text_of(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# -- generated parts


@pytest.mark.parametrize("page", PARTED, ids=name_of)
def test_the_generated_parts_of_a_page_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if os.environ.get("NODELING_UPDATE_DOCS"):
        text = renewed(text)
        page.write_text(text, encoding="utf-8")
    assert list(parts_of(text)) == list(parts_of(renewed(text)))


@pytest.mark.parametrize("page", PARTED, ids=name_of)
def test_no_row_of_a_generated_table_is_left_without_a_meaning(page: Path) -> None:
    rows = [line for _, part in parts_of(page.read_text(encoding="utf-8")) for line in part.splitlines()]
    assert [row for row in rows if re.search(r"\|\s*\|$", row) or "| Default" in row] == []


def test_each_reference_page_has_its_generated_parts() -> None:
    found = {name for page in PARTED for name, _ in parts_of(page.read_text(encoding="utf-8"))}
    assert found >= {
        "command-line",
        "workflow-keys",
        "settings-keys",
        "step-keys",
        "container-keys",
        "standard-nodes",
        "manifest-keys",
        "hooks",
        "public-names",
        "context-members",
        "number-codes",
        "word-codes",
    }


# -- documents


def test_every_key_of_a_workflow_is_documented() -> None:
    page = text_of("workflow-format.md")
    known = [*keys.TOP, *keys.SETTINGS, *keys.STEP, *keys.RETRY, *keys.LINK]
    assert [key for key in known if f"`{key}`" not in page] == []


def test_every_container_is_documented() -> None:
    page = text_of("workflow-format.md")
    for file in NODES.glob("*/config.json"):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if manifest["group"] == CONTAINERS:
            assert f"### {manifest['name']}\n" in page


def test_every_shipped_node_is_in_the_catalogue_and_on_the_first_page() -> None:
    shipped = [json.loads(file.read_text(encoding="utf-8")) for file in NODES.glob("*/config.json")]
    names = {manifest["name"] for manifest in shipped if manifest["group"] != CONTAINERS}
    assert {manifest["group"] for manifest in shipped} == {CONTAINERS, *GROUPS}
    assert set(re.findall(r"^### ([\w-]+)$", text_of("nodes.md"), re.MULTILINE)) == names
    assert row_of_readme("Standard nodes") == names


@pytest.mark.parametrize("key", [*keys.TOP, *keys.SETTINGS, *keys.STEP, *keys.RETRY])
def test_every_key_is_on_the_page_for_assistants(key: str) -> None:
    if not key.startswith("$"):
        assert re.search(rf"\b{key}\b", (DOCS / "llms.txt").read_text(encoding="utf-8"))


def row_of_readme(head: str) -> set[str]:
    (row,) = re.findall(
        rf"^\| {head} \| (.*) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return set(re.findall(r"`([\w-]+)`", row))


def test_the_readme_names_the_containers_and_commands_that_exist() -> None:
    shipped = [json.loads(file.read_text(encoding="utf-8")) for file in NODES.glob("*/config.json")]
    assert row_of_readme("Containers") == {one["name"] for one in shipped if one["group"] == CONTAINERS}
    assert row_of_readme("Tools") == {"nodectl", *COMMANDS} - {"completion"}


# -- the command line


def test_every_exit_code_is_documented() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text_of("exit-codes.md"), re.MULTILINE)}
    assert listed == {value for name, value in vars(failure).items() if name.startswith("EXIT_")}


def test_every_environment_variable_is_documented() -> None:
    known = text_of("cli.md") + text_of("exec-nodes.md") + text_of("protocol.md")
    names = {
        found.value
        for _, tree in trees()
        for found in ast.walk(tree)
        if isinstance(found, ast.Constant)
        and isinstance(found.value, str)
        and re.fullmatch(r"NODELING_[A-Z_]+", found.value)
    }
    assert names
    assert sorted(name for name in names if name not in known) == []


# -- hooks and public names


def test_every_hook_is_documented_with_its_arguments() -> None:
    page = text_of("hooks.md")
    for name, function in vars(nodeling.hookspecs).items():
        if name.startswith("nodeling_"):
            assert f"### `{name}(" in page
            for argument in inspect.signature(function).parameters:
                assert argument in page


def test_every_public_name_is_documented_and_exists() -> None:
    page = text_of("python-api.md")
    for name in nodeling.__all__:
        assert hasattr(nodeling, name)
        assert f"| `{name}` |" in page


# -- error codes


WORD = re.compile(r"[a-z]+\.[a-z_]+")
CODE_SHAPED = re.compile(r"""f['"][a-z]+\.""")
BLOK = {code for code in CODES if str(code).startswith("blok.")}  # made of their last words in one place
KAILASH = {code for code in CODES if str(code).startswith("kailash.")}  # the same
DYNAMIC: dict[str, set[str]] = {
    'f"blok.{what}"': BLOK,
    'f"kailash.{what}"': KAILASH,
    'f"check.{what}"': {"check.inputs", "check.config"},
    'f"document.{error.kind}"': {"document.depth", "document.value"},
    'f"step.{found.status}"': set(),  # a status, made for `nodeling.testing` alone
}
AREAS = {code.partition(".")[0] for code in CODES if isinstance(code, str)}
NOT_CODES = {
    "config.execution", "ctx.request", "ctx.vars", "engine.lag",
    "run.taken", "run.lost", "run.handed_over", "store.away",
    "run.started", "run.finished", "run.created", "run.claimed", "run.cancel_requested", "run.suspended",
    "run.ended", "run.queued", "run.restarted", "run.long_history",
    "node.py", "node.sh", "node.c", "node.jar", "node.jsa", "node.mjs", "node.ts",
    "config.json", "schema.json",
}  # fmt: skip
CODE_CALLS = {"Fault", "RawFault", "fault", "_fault", "warn", "_warn", "_stop"}


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for folder in SOURCES:
        for file in sorted(folder.rglob("*.py")):
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def coded(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions that stand where a code is said."""
    for found in ast.walk(tree):
        if isinstance(found, ast.Call):
            yield from (word.value for word in found.keywords if word.arg == "code")
            called = (
                found.func.attr if isinstance(found.func, ast.Attribute) else getattr(found.func, "id", "")
            )
            if called in CODE_CALLS and found.args:
                yield found.args[0]
            if called in ("CallError", "CommandFault") and found.args:
                yield found.args[0]
        elif isinstance(found, ast.Assign):
            names = {target.id for target in found.targets if isinstance(target, ast.Name)}
            if "default_code" in names:
                yield found.value
        elif isinstance(found, ast.AnnAssign) and getattr(found.target, "id", "") == "default_code":
            if found.value is not None:
                yield found.value


def raised() -> Iterator[tuple[str, Any]]:
    """`(place, code)` of every literal in the sources that is, or looks like, a code."""
    for file, tree in trees():
        place = name_of(file)
        for value in coded(tree):
            if isinstance(value, ast.Constant) and value.value is not None:
                yield f"{place}:{value.lineno}", value.value
        for found in ast.walk(tree):
            if isinstance(found, ast.Constant) and isinstance(found.value, str):
                looks = WORD.fullmatch(found.value) and found.value.partition(".")[0] in AREAS
                if (
                    looks
                    and found.value not in NOT_CODES
                    and not found.value.endswith(
                        (".py", ".json", ".js", ".mjs", ".ts", ".c", ".h", ".jar", ".jsa")
                    )
                ):
                    yield f"{place}:{found.lineno}", found.value


def numbers_that_look_like_codes() -> Iterator[tuple[str, int]]:
    """A number may become a code by way of a table, where nothing around it says so."""
    for file, tree in trees():
        if not {"dispatch", "engine", "nodeling", "nodeling_nodes", "toolchains"} & set(file.parts):
            continue
        for found in ast.walk(tree):
            if isinstance(found, ast.Constant) and type(found.value) is int:
                number = found.value
                if 4000 <= number < 4200 or 5000 <= number < 5010 or 9001 <= number < 9100:
                    yield f"{name_of(file)}:{found.lineno}", number


def test_every_number_that_looks_like_a_code_is_documented() -> None:
    found = list(numbers_that_look_like_codes())
    assert {number for _, number in found} >= {4000, 4001, 5000, 9005, 9008}
    assert sorted(f"{place}: {number}" for place, number in found if number not in CODES) == []


def test_every_code_in_the_sources_is_documented() -> None:
    codes = [(place, code) for place, code in raised() if isinstance(code, int) or WORD.fullmatch(code)]
    assert len(codes) > 100
    assert sorted(f"{place}: {code}" for place, code in codes if code not in CODES) == []


def test_no_code_is_documented_that_nothing_gives() -> None:
    found = {code for _, code in raised()} | {code for codes in DYNAMIC.values() for code in codes}
    retry = json.loads((REFERENCE / "retry.json").read_text(encoding="utf-8"))
    by_nodes = set(re.findall(r"\b\d{4}\b", json.dumps(retry)))  # what nodes of other runtimes may answer
    numbers = {
        value.value
        for _, tree in trees()
        for value in ast.walk(tree)
        if isinstance(value, ast.Constant) and type(value.value) is int
    }
    unknown = [
        code
        for code in CODES
        if code not in found and not (isinstance(code, int) and (code in numbers or str(code) in by_nodes))
    ]
    assert unknown == []


def test_codes_that_are_put_together_are_known_here() -> None:
    made = {
        ast.unparse(value).replace("'", '"')
        for _, tree in trees()
        for value in coded(tree)
        if isinstance(value, ast.JoinedStr) and CODE_SHAPED.match(ast.unparse(value))
    }
    assert made <= set(DYNAMIC)
    assert all(code in CODES for codes in DYNAMIC.values() for code in codes)


# -- events


@node(name="noisy")
async def noisy(ctx: Context) -> Any:
    ctx.log("a line", data=1)
    ctx.progress(1, 2, "half")
    ctx.metric("rows", 3)
    yield 1
    if ctx.attempt == 1:
        raise NodeError("once", code=5000)


def heard() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    with Workflow("heard") as workflow:
        step("say", noisy, retry={"attempts": 2, "delay": 1})
        step(
            "child",
            "parallel",
            nodes=[{"name": "inner", "node": "noisy", "retry": {"attempts": 2, "delay": 1}}],
        )
    assert workflow.run(on_event=lambda event: events.append(dict(event))).succeeded
    return events


def rows_of_events() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(\w+\.\w+)` \| [^|]* \| ([^|]*) \|", text_of("events.md"), re.MULTILINE)
    return {kind: set(re.findall(r"`(\w+)`", fields)) for kind, fields in rows}


def test_every_kind_of_event_and_each_of_its_fields_is_documented() -> None:
    rows = rows_of_events()
    common = {"seq", "ts", "event", "run_id", "step"}
    for event in heard():
        assert event["event"] in rows
        assert set(event) - common <= rows[event["event"]], event


def test_every_documented_event_is_emitted_somewhere() -> None:
    kinds = {event["event"] for event in heard()}
    for kind in rows_of_events():
        quoted = any(f'"{kind}"' in file.read_text(encoding="utf-8") for file, _ in trees())
        assert kind in kinds or quoted


# -- pages and their links


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_a_page_names_no_file_of_the_repository_that_is_not_there(page: Path) -> None:
    tops = "docs|examples|benchmarks|tests|sdk|runtime|plugins|node_templates"
    named = re.findall(rf"`((?:{tops})/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "index.md"
    listed = {(index.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)\)", prose(index))}
    missing = [
        name_of(page)
        for page in pages()
        if page.is_relative_to(DOCS) and page != index and page not in listed
    ]
    assert missing == []
