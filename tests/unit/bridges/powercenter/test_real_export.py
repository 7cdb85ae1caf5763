"""An export in the tool's own spelling, with all that exports carry: converted, checked, drawn and run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli_calls import invoke, write_node

FIXTURE = Path(__file__).parents[3] / "fixtures" / "powercenter" / "wf_sales.xml"
PROJECT = {"NODELING_STORE": "", "NODELING_SMTP_HOST": "127.0.0.1", "NODELING_SMTP_FROM": "x@example.com"}
LOAD = """
import json
import pathlib

def run(ctx, inputs):
    pathlib.Path("config.json").write_text(json.dumps(dict(ctx.config)), encoding="utf-8")
    assert pathlib.Path("up").exists(), "the source is down"
    ctx.metric("SrcSuccessRows", 3)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".nodeling").mkdir()
    shutil.copy(FIXTURE, tmp_path)
    write_node(tmp_path, "load", LOAD, config={"type": "object"})
    return tmp_path


def test_whatever_does_not_come_along_is_told_with_its_line(project: Path) -> None:
    said = invoke("check", "wf_sales.xml", "--bind", "m_load_sales=load")
    assert said.exit_code == 0
    for line, part in (
        (18, "the schedule 'daily_6am (RECURRING)' stays behind"),
        (22, "the Pre-session command pre_session_command of 's_m_load_sales' is left to the session's node"),
        (24, "the attribute 'Unheard Of' ('YES') of 'Timer1' means nothing here"),
        (30, "the attribute 'Parameter Filename' of 'wf_sales' ('/params/sales.par') does not come along"),
        (32, "the attribute 'Workflow Log File Name'"),
        (35, "the attribute 'Enable HA recovery'"),
    ):
        assert f"wf_sales.xml:{line}:1: {part}" in said.output
    assert invoke("check", "wf_sales.xml", "--strict").exit_code == 1


def test_it_is_suspended_and_resumed_and_its_session_gets_all_that_is_said_of_it(project: Path) -> None:
    first = invoke("run", "wf_sales.xml", "--bind", "s_m_load_sales=load", "--json", "--quiet", env=PROJECT)
    assert first.exit_code == 75
    found = json.loads(first.stdout)
    assert found["steps"]["cmd_archive"]["status"] == "pending"
    config = json.loads((project / "config.json").read_text(encoding="utf-8"))
    assert config["mapping"] == "m_load_sales"
    assert config["SALES.DB Connection"] == "ORA_DW"
    assert config["$Source connection value"] == "$DBConn"
    assert config["Session config"] == "default_session_config"
    (project / "up").touch()
    last = invoke("runs", "resume", found["run_id"], "--json", "--quiet", env=PROJECT)
    assert (last.exit_code, set(json.loads(last.stdout)["output"].values())) == (0, {"SUCCEEDED"})
    assert (project / "archived.txt").read_text(encoding="utf-8") == "archived\n"
    kept = project / ".nodeling" / "powercenter" / "wf_sales.variables.json"
    assert json.loads(kept.read_text(encoding="utf-8")) == {"$$RunNo": 0}


def test_what_people_noted_beside_it_is_kept_with_its_runs(project: Path) -> None:
    invoke("convert", "wf_sales.xml", "--bind", "s_m_load_sales=load", "-o", "native.json", "--to", "json")
    document = json.loads((project / "native.json").read_text(encoding="utf-8"))
    assert document["metadata"] == {"powercenter": {"owner": "me"}}
    assert invoke("check", "native.json").exit_code == 0


@pytest.mark.parametrize("wrong", ['DAYS ="x"', 'MINUTES ="1e400"', 'HOURS ="nan"', 'HOURS ="-1"'])
def test_a_timer_whose_time_is_no_number_is_refused_with_its_line(project: Path, wrong: str) -> None:
    text = (project / "wf_sales.xml").read_text(encoding="utf-8")
    name = wrong.split(" ")[0]
    known = {"DAYS": 'DAYS ="0"', "HOURS": 'HOURS ="0"', "MINUTES": 'MINUTES ="0"'}[name]
    line = next(one for one in text.splitlines() if 'TYPE ="Timer"' in one)
    (project / "wf_sales.xml").write_text(text.replace(line, line.replace(known, wrong)), encoding="utf-8")
    said = invoke("check", "wf_sales.xml")
    assert (said.exit_code, "wf_sales.xml:24:" in said.output) == (65, True)
