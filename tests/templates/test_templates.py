"""Every template: what it creates, and that the result is green at once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from nodeling.errors import NodelingError, PluginError
from nodeling_runtime import plugins, scaffold, vendored
from nodeling_runtime.cli.main import cli
from nodeling_runtime.registry import PROJECT, read_node
from programs import need

SDK = Path(__file__).parents[2] / "sdk"
NODE_FILES = {
    "python": ["README.md", "config.json", "node.py"],
    "class": ["README.md", "config.json", "node.py"],
    "async": ["README.md", "config.json", "node.py"],
    "container": ["README.md", "config.json", "node.py"],
    "parallel": ["README.md", "config.json", "node.py"],
    "bash": ["README.md", "config.json", "node.sh"],
    "bash-worker": ["README.md", "config.json", "node.sh", "nodeling.sh"],
    "command": ["README.md", "config.json"],
    "javascript": ["README.md", "config.json", "node.mjs", "node.test.mjs", "nodeling.d.mts", "nodeling.mjs"],
    "python-worker": ["README.md", "config.json", "node.py"],
    "typescript": ["README.md", "config.json", "node.ts", "nodeling.d.mts", "nodeling.mjs", "tsconfig.json"],
    "c": ["README.md", "config.json", "node.c", "nodeling.c", "nodeling.h"],
    "go": [
        "README.md",
        "config.json",
        "go.mod",
        "main.go",
        "main_test.go",
        *sorted(f"nodeling/{path.name}" for path in SDK.glob("go/*.go") if not path.stem.endswith("_test")),
    ],
    "java": [
        "README.md",
        "config.json",
        "pom.xml",
        "src/main/java/Node.java",
        *sorted(
            f"src/main/java/nodeling/{path.name}" for path in SDK.glob("java/src/main/java/nodeling/*.java")
        ),
    ],
}
NODE_FILES["rust"] = [
    "Cargo.toml",
    "README.md",
    "config.json",
    "nodeling/Cargo.toml",
    *sorted(f"nodeling/{path.relative_to(SDK / 'rust').as_posix()}" for path in SDK.glob("rust/src/**/*.rs")),
    "src/main.rs",
]
NEEDS = {"c": "gcc", "go": "go", "java": "javac", "javascript": "node", "rust": "cargo", "typescript": "npm"}
NO_WORKERS = ("container", "parallel", "bash", "command")
HELLO = ["nodes/hello/config.json", "nodes/hello/node.py"]
EXAMPLES = {"python": 3, "class": 3, "async": 2, "container": 2, "bash": 2, "c": 2, "go": 2, "java": 2}
EXAMPLES |= {"bash-worker": 2, "command": 2, "javascript": 2, "python-worker": 2, "rust": 2, "typescript": 2}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def require(template):
    """Skip, or fail where it is required, when the language's tools are not here."""
    program = NEEDS.get(template)
    if program is not None:
        need(program)


def nodectl(*words, code=0):
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == code, result.output
    return result


def files_below(folder):
    found = [path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()]
    return sorted(file for file in found if "__pycache__" not in file)


def test_every_template_of_ours_has_a_golden_list():
    ours = {t.name for t in scaffold.read_templates() if t.owner == "nodeling"}
    assert ours == {*NODE_FILES, "workflow", "project", "plugin"}


@pytest.mark.parametrize("template", NODE_FILES)
def test_a_node_template_is_green_at_once_in_an_empty_directory(here, template):
    require(template)
    nodectl("create", "node", "--template", template)
    assert files_below(here) == [f"nodes/my-{template}/{file}" for file in NODE_FILES[template]]
    nodectl("check", "--strict", "--code")
    report = json.loads(nodectl("test", f"my-{template}", "--json").stdout)
    assert report["failed"] == 0
    if template in EXAMPLES:
        assert report["passed"] == EXAMPLES[template]
    if template not in NO_WORKERS:
        command = nodectl("node-command", f"my-{template}").stdout.split()
        judged = json.loads(nodectl("conformance", "--json", "--jobs", "2", "--", *command).stdout)
        assert judged["failed"] == 0 < judged["passed"]


@pytest.mark.parametrize("template", NODE_FILES)
def test_a_created_node_takes_the_name_it_is_given(here, template):
    require(template)
    nodectl("create", "node", "--name", "acme-x2", "--template", template)
    spec = read_node(here / "nodes" / "acme-x2", PROJECT)
    assert spec.name == "acme-x2" and spec.manifest.aliases == ()
    nodectl("check", "--strict", "--code")
    if template not in NEEDS:  # what has to be built was built and tested once
        nodectl("test", "acme-x2")


def test_parallel_execution_is_another_name_of_the_parallel_template(here):
    nodectl("create", "node", "--template", "parallel-execution", "--name", "ours")
    made = (here / "nodes/ours/config.json").read_text(encoding="utf-8")
    shipped = Path(__file__).parents[2] / "plugins/nodeling_nodes/parallel"
    wanted = json.loads((shipped / "config.json").read_text(encoding="utf-8")) | {"name": "ours"}
    del wanted["aliases"]
    assert json.loads(made) == wanted
    assert "\n    " in made and len(made.splitlines()) > 20, "the layout of the shipped manifest is kept"
    assert (here / "nodes/ours/node.py").read_bytes() == (shipped / "node.py").read_bytes()
    page = (here / "nodes/ours/README.md").read_text(encoding="utf-8")
    assert page.startswith("# ours\n")
    assert "node: ours\n" in page and "nodectl nodes show ours`" in page


def test_a_created_parallel_runs_a_workflow(here):
    nodectl("create", "node", "--template", "parallel")
    nodectl("create", "node", "--template", "bash")
    steps = [
        {
            "name": "work",
            "node": "my-parallel",
            "nodes": [{"name": "a", "node": "my-bash", "inputs": {"text": "x"}}],
        }
    ]
    (here / "flow.json").write_text(json.dumps({"name": "flow", "steps": steps}), encoding="utf-8")
    run = json.loads(nodectl("run", "flow.json", "--json").stdout)
    assert run["output"]["results"] == ["X"]


def test_a_workflow_runs_at_once_and_a_second_one_shares_its_node(here):
    nodectl("create", "workflow")
    assert files_below(here) == ["my-workflow.yaml", *HELLO]
    nodectl("check", "--code")
    run = json.loads(nodectl("run", "my-workflow.yaml", "--json").stdout)
    assert run["output"] == {"greetings": ["Hello, Ada!", "Hello, Grace!"]}
    run = json.loads(nodectl("run", "my-workflow.yaml", "--json", "--input", '{"names": ["Bo"]}').stdout)
    assert run["output"] == {"greetings": ["Hello, Bo!"]}
    nodectl("create", "workflow", "second")
    assert files_below(here) == ["my-workflow.yaml", *HELLO, "second.yaml"]


def test_a_workflow_goes_where_a_project_keeps_them(here):
    nodectl("create", "project", "shop")
    os.chdir(here / "shop")
    Path("workflows").mkdir()
    nodectl("create", "workflow", "more")
    assert Path("workflows/more.yaml").is_file()
    nodectl("check")
    nodectl("run", "workflows/more.yaml")


def test_a_workflow_can_be_named_by_its_file(here):
    (here / "deep").mkdir()
    nodectl("create", "workflow", "deep/report.yaml")
    assert files_below(here) == [f"deep/{file}" for file in (*HELLO, "report.yaml")]
    nodectl("run", "deep/report.yaml")


def test_a_project_is_green_and_runs(here):
    nodectl("create", "project", "shop")
    assert files_below(here / "shop") == [
        ".gitignore",
        "README.md",
        *HELLO,
        "nodes/shout/config.json",
        "nodes/shout/node.sh",
        "workflow.yaml",
    ]
    os.chdir(here / "shop")
    nodectl("check", "--code")
    assert json.loads(nodectl("test", "--json").stdout)["passed"] == 3
    run = json.loads(nodectl("run", "workflow.yaml", "--json").stdout)
    assert run["output"] == {"greetings": ["HELLO, ADA!", "HELLO, GRACE!"], "count": 2}
    nodectl("create", "node", "--template", "bash")
    assert Path("nodes/my-bash").is_dir()
    deep = here / "shop" / "some" / "place"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    os.chdir(deep)
    nodectl("create", "node", "other")
    assert (here / "shop/nodes/other/config.json").is_file()


def test_a_plugin_is_an_installable_package(here):
    nodectl("create", "plugin", "--name", "acme-geo")
    assert files_below(here / "acme-geo") == [
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/acme_geo/__init__.py",
        "src/acme_geo/nodes/__init__.py",
        "src/acme_geo/nodes/acme-geo-count-words/config.json",
        "src/acme_geo/nodes/acme-geo-count-words/node.py",
        "tests/test_nodes.py",
    ]
    nodectl("check", "--strict", "--code", "acme-geo/src/acme_geo/nodes/acme-geo-count-words")
    nodectl("test", "acme-geo/src/acme_geo/nodes/acme-geo-count-words")


@pytest.mark.parametrize("kind", ["node", "workflow", "project", "plugin"])
def test_nothing_is_overwritten_without_force(here, kind):
    nodectl("create", kind, "--name", "mine")
    before = {file: (here / file).read_bytes() for file in files_below(here)}
    changed = next(file for file in before if not file.startswith("nodes/hello"))
    (here / changed).write_text("mine", encoding="utf-8")
    refused = nodectl("create", kind, "--name", "mine", code=1)
    said = "mine.yaml exists already" if kind == "workflow" else "more exist already"
    assert said in refused.stderr and "--force" in refused.stderr
    assert (here / changed).read_text(encoding="utf-8") == "mine"
    nodectl("create", kind, "--name", "mine", "--force")
    assert {file: (here / file).read_bytes() for file in files_below(here)} == before


def test_a_refused_creation_writes_nothing_at_all(here):
    (here / "nodes/my-python").mkdir(parents=True)
    (here / "nodes/my-python/node.py").write_text("mine", encoding="utf-8")
    nodectl("create", "node", code=1)
    assert files_below(here) == ["nodes/my-python/node.py"]


def test_a_creation_that_cannot_be_finished_leaves_nothing_of_itself(here, monkeypatch):
    written = []

    def full(path, data):
        written.append(path)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        with path.open("wb") as file:
            return file.write(data)

    monkeypatch.setattr(scaffold.Path, "write_bytes", full)
    refused = nodectl("create", "node", "--name", "mine", code=69)
    assert "cannot be written: No space left on device" in refused.stderr
    assert len(written) == 3
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MyNode", "'my-node'"),
        ("my_node", "'my-node'"),
        ("HTTPGet2", "'http-get2'"),
        ("../escape", "'escape'"),
        ("1st", "'st'"),
        ("a" * 65, "a" * 64),
        ("-", "my-node"),
        ("naïve", "call it"),
    ],
)
def test_a_name_that_is_none_is_refused_with_one_that_is(here, name, hint):
    refused = nodectl("create", "node", f"--name={name}", code=2)
    assert "is no name for a node" in refused.stderr and hint in refused.stderr
    assert files_below(here) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--template", "paralel"], 2, "did you mean 'parallel'?"),
        (["--runtime", "klingon"], 2, "no runtime is called 'klingon'; there is bash, "),
        (["--runtime", "bsh"], 2, "did you mean 'bash'?"),
        (["--type", "modul"], 2, "did you mean 'module'?"),
        (["--runtime", "bash", "--template", "class"], 2, "is written in python"),
        (["--name", "parallel"], 1, "'my-parallel'"),
    ],
)
def test_what_cannot_be_created_is_refused_by_name(here, words, code, said):
    refused = nodectl("create", "node", *words, code=code)
    assert said in refused.stderr
    assert files_below(here) == []


@pytest.mark.parametrize("words", [["--runtime", "rust"], ["--type", "runtime.rust"]])
def test_a_language_that_no_template_is_written_in_is_told(here, words, monkeypatch):
    others = [one for one in scaffold.read_templates() if one.runtime != "rust"]
    monkeypatch.setattr(scaffold, "read_templates", lambda: others)
    refused = nodectl("create", "node", *words, code=69)
    assert "no template makes a `runtime.rust` node" in refused.stderr
    assert files_below(here) == []


@pytest.mark.parametrize(
    ("words", "template"),
    [
        (["--runtime", "rust"], "rust"),
        (["--runtime", "bash"], "bash-worker"),
        (["--template", "bash"], "bash"),
        (["--type", "runtime.bash"], "bash-worker"),
        (["--type", "module"], "python"),
        (["--type", "local", "--runtime", "python"], "python"),
        (["--type", "class"], "class"),
        (["--runtime", "js"], "javascript"),
        (["--runtime", "nodejs"], "javascript"),
        (["--type", "runtime.typescript"], "typescript"),
        (["--runtime", "python3"], "python-worker"),
        (["--runtime", "command"], "command"),
        (["--runtime", "bash", "--template", "bash-worker"], "bash-worker"),
    ],
)
def test_types_and_runtimes_choose_a_template(here, words, template):
    made = json.loads(nodectl("create", "node", "--json", "--name", "x", *words).stdout)
    assert made["template"] == template and made["path"] == "nodes/x"
    assert made["files"] == [f"nodes/x/{file}" for file in sorted(NODE_FILES[template])]


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (["greet"], "nodes/greet"),
        (["flows/greet"], "flows/greet"),
        (["flows", "--name", "greet"], "flows/greet"),
        (["flows/greet", "--name", "greet"], "flows/greet"),
    ],
)
def test_a_path_says_where(here, words, folder):
    nodectl("create", "node", *words)
    assert (here / folder / "config.json").is_file()


def test_the_templates_are_listed(here):
    lines = nodectl("create", "node", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(NODE_FILES)
    assert any("parallel-execution" in line for line in lines)
    listed = json.loads(nodectl("create", "node", "--list", "--json").stdout)
    assert {entry["distribution"] for entry in listed} == {"nodeling"}


# -- templates that strangers bring


@pytest.fixture
def bring(tmp_path, monkeypatch):
    """Lets a stranger's folder of templates be found beside ours."""
    ours = plugins.template_folders()

    def add(name, about, **files):
        root = tmp_path / "theirs"
        for file, text in {"template.json": json.dumps(about), **files}.items():
            path = root / name / file.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        monkeypatch.setattr(plugins, "template_folders", lambda: [*ours, ("acme", root)])

    return add


def test_a_strangers_template_is_used_like_ours(bring):
    bring("acme", {"kind": "node"}, config__json__tmpl='{"name": "{{name}}", "x-class": "{{class_name}}"}')
    template = scaffold.find_template("node", "acme")
    assert template.default_name == "my-acme"
    files = scaffold.render(template, "two-words")
    assert json.loads(files["config.json"]) == {"name": "two-words", "x-class": "TwoWords"}


@pytest.mark.parametrize(
    ("about", "files", "said"),
    [
        ({"kind": "nod"}, {}, "`kind` is one of"),
        ({"kind": "node", "colour": 1}, {}, "unknown key 'colour'"),
        ({"kind": "node"}, {}, "holds no file that ends in .tmpl"),
        ({"kind": "node"}, {"a__tmpl": "{{nmae}}"}, "did you mean 'name'?"),
        ({"kind": "node", "aliases": ["python"]}, {"a__tmpl": ""}, "two owners"),
    ],
)
def test_a_wrong_template_is_named_with_its_owner(bring, about, files, said):
    bring("acme", about, **files)
    with pytest.raises(PluginError, match=re.escape(said)):
        scaffold.render(scaffold.find_template("node", "acme"), "x")


def test_a_manifest_is_renamed_in_place_whatever_it_looks_like():
    compact = '{"aliases":["a"],"name":"old","x-name":"old"}'
    assert scaffold.renamed_manifest(compact, "new") == '{"name":"new","x-name":"old"}'
    last = '{\n  "x": {"name": "old"},\n  "name": "old",\n  "aliases": [\n    "a"\n  ]\n}\n'
    assert json.loads(scaffold.renamed_manifest(last, "new")) == {"x": {"name": "old"}, "name": "new"}
    commented = '{\n  // why\n  "name": "old"\n}\n'
    assert "// why" in scaffold.renamed_manifest(commented, "new")


def test_writing_into_a_file_instead_of_a_folder_is_said_plainly(tmp_path):
    (tmp_path / "nodes").write_text("", encoding="utf-8")
    with pytest.raises(NodelingError, match="cannot be written"):
        scaffold.write_files({"nodes/a/config.json": b""}, tmp_path)


def test_a_created_node_holds_the_sdk_and_needs_no_installation_for_it(here):
    nodectl("create", "node", "--runtime", "javascript", "--name", "one")
    text = (here / "nodes/one/nodeling.mjs").read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    assert first.startswith("// nodeling ") and "javascript/nodeling.mjs sha256:" in first
    (found, _) = vendored.find_vendored(here / "nodes/one")[::-1]
    assert (found.source, found.is_edited) == ("javascript/nodeling.mjs", False)


def test_the_copies_of_the_sdk_are_renewed_and_edited_ones_kept(here):
    nodectl("create", "node", "--template", "bash-worker", "--name", "old")
    nodectl("create", "node", "--template", "bash-worker", "--name", "mine")
    assert all(one["state"] == "current" for one in upgraded()["files"])
    old = here / "nodes/old/nodeling.sh"
    body = b"# an older one\n"
    head = f"# nodeling 0.0.1 bash/nodeling.sh sha256:{hashlib.sha256(body).hexdigest()}; "
    old.write_bytes(head.encode() + b"`nodectl sdk upgrade` renews this file\n" + body)
    mine = here / "nodes/mine/nodeling.sh"
    mine.write_text(mine.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    edited = mine.read_bytes()
    states = {Path(one["file"]).parent.name: one for one in upgraded(code=1)["files"]}
    assert (states["old"]["state"], states["old"]["before"]) == ("upgraded", "0.0.1")
    assert states["old"]["added"] > 100 and states["old"]["removed"] == 1
    assert states["mine"]["state"] == "edited" and mine.read_bytes() == edited
    assert old.read_bytes() == vendored.vendored_bytes("bash/nodeling.sh")
    nodectl("test", "old")
    nodectl("sdk", "upgrade", "mine", "--force")
    assert mine.read_bytes() == vendored.vendored_bytes("bash/nodeling.sh")


def test_a_copy_of_many_files_gets_the_new_ones_and_loses_the_old(here):
    nodectl("create", "node", "--template", "go", "--name", "one")
    sdk = here / "nodes/one/nodeling"
    whole = files_below(sdk)
    values = sdk / "values.go"
    newer = values.read_bytes()
    values.unlink()
    body = b"package nodeling\n"
    state = hashlib.sha256(body).hexdigest()
    head = f"// nodeling 0.0.1 go/gone.go sha256:{state}; `nodectl sdk upgrade` renews this file\n\n"
    (sdk / "gone.go").write_bytes(head.encode() + body)
    (sdk / "mine.go").write_bytes(body)
    states = {Path(one["file"]).name: one["state"] for one in upgraded()["files"]}
    assert (states["values.go"], states["gone.go"], states["worker.go"]) == ("added", "removed", "current")
    assert files_below(sdk) == sorted([*whole, "mine.go"]) and values.read_bytes() == newer


def upgraded(code=0):
    return json.loads(nodectl("sdk", "upgrade", "--json", code=code).stdout)
