from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_calls import invoke, write_node, write_workflow

SECRET = 'hun"ter2\\end'
LEAKY = """
def run(ctx, inputs):
    token = ctx.secrets["TOKEN"]
    ctx.log("token is " + token, token=token)
    ctx.progress(1, 2, token)
    if inputs.get("fail"):
        raise ValueError("refused " + token)
    return {"url": f"https://{token}@host", token: [token, 1]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NODELING_SECRET_TOKEN", SECRET)
    write_node(tmp_path, "leaky", LEAKY, secrets=["TOKEN"])
    return tmp_path


def leaks(text: str) -> bool:
    return SECRET in text or json.dumps(SECRET)[1:-1] in text


@pytest.mark.parametrize("options", [[], ["--json"], ["--verbose"], ["--quiet"]])
@pytest.mark.parametrize("fail", [False, True])
def test_a_secret_is_shown_nowhere(project: Path, options: list[str], fail: bool) -> None:
    events = project / "events.jsonl"
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "leaky", "inputs": {"fail": fail}}]})
    result = invoke("run", flow, "--events", events, *options)
    assert result.exit_code == (1 if fail else 0)
    assert not leaks(result.stdout)
    assert not leaks(result.stderr)
    assert not leaks(events.read_text(encoding="utf-8"))
    assert "***" in events.read_text(encoding="utf-8")


def test_an_output_keeps_everything_but_the_secret(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "leaky"}]})
    result = invoke("run", flow, "--quiet")
    assert json.loads(result.stdout) == {"url": "https://***@host", "***": ["***", 1]}


def test_a_missing_secret_is_told_before_anything_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODELING_SECRET_TOKEN")
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "leaky"}]})
    result = invoke("run", flow, "--json")
    assert result.exit_code == 78
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "secret.missing"
    assert "NODELING_SECRET_TOKEN" in error["hint"]


def test_a_report_holds_the_run_and_not_the_secret(project: Path) -> None:
    report = project / "report.html"
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "leaky"}]})
    result = invoke("run", flow, "--report", report, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "succeeded"
    page = report.read_text(encoding="utf-8")
    assert "leaky" in page
    assert not leaks(page)


def test_a_report_that_cannot_be_written_is_told_before_the_run(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "leaky"}]})
    result = invoke("run", flow, "--report", "/nowhere/report.html")
    assert result.exit_code == 2
    assert "started" not in result.stderr
