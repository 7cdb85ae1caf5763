"""Exports as workflows: what runs after what, what a failure means, what variables hold, what is refused."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path
from typing import Any

import pytest

import nodeling
from cli_calls import invoke, write_node
from nodeling.errors import ConfigError
from nodeling.formats import Source, Wishes
from nodeling_bridges.powercenter.hooks import recognises
from nodeling_bridges.powercenter.kept import file_of
from nodeling_bridges.powercenter.load import convert
from unit_exports import (
    attribute,
    chain,
    command,
    decision,
    export,
    instance,
    link,
    pair,
    session,
    task,
    variable,
    workflow,
    worklet,
)


def converted(text: str, **wishes: Any) -> Any:
    return convert(Source("wf.xml", text), Wishes(**wishes))


def ran(text: str, **wishes: Any) -> Any:
    return nodeling.load(converted(text, **wishes).document).run()


def statuses(text: str, **wishes: Any) -> dict[str, str]:
    result = ran(text, **wishes)
    return {name: step.status for name, step in result.steps.items() if name != "Start"}


def faults_of(text: str, **wishes: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        converted(text, **wishes)
    return [str(fault) for fault in refused.value.faults if fault.severity == "error"]


def notes_of(text: str, **wishes: Any) -> list[str]:
    return [note.message for note in converted(text, **wishes).notes]


# -- links


def two(condition: str, first: str = "true", **flags: str) -> str:
    return export(
        workflow(
            command("a", first), command("b", "true"),
            instance("a", "Command", **flags), instance("b", "Command"),
            link("Start", "a"), link("a", "b", condition),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "first", "expected"),
    [
        ("", "true", "succeeded"),
        ("", "false", "succeeded"),  # the trap: no condition is no condition, after a failure too
        ("$a.Status = SUCCEEDED", "true", "succeeded"),
        ("$a.Status = SUCCEEDED", "false", "skipped"),
        ("$a.Status= Succeeded", "true", "succeeded"),
        ("$a.Status = FAILED", "false", "succeeded"),
        ("$a.Status = FAILED", "true", "skipped"),
        ("$a.Status = 1", "true", "succeeded"),
        ("$a.ErrorCode <> 0", "false", "succeeded"),
        ("ISNULL($a.ErrorMsg)", "true", "succeeded"),
        ("$a.Status = ABORTED OR FAILED", "false", "succeeded"),
    ],
)
def test_a_link_decides_by_its_condition(condition: str, first: str, expected: str) -> None:
    assert statuses(two(condition, first))["b"] == expected


def test_tasks_fail_and_the_workflow_succeeds_unless_a_flag_says_otherwise() -> None:
    assert ran(two("", "false")).status == "succeeded"
    failed = ran(two("", "false", FAIL_PARENT_IF_INSTANCE_FAILS="YES"))
    assert failed.status == "failed"
    assert failed.steps["b"].status == "succeeded"


def test_a_task_that_did_not_run_fails_its_parent_when_a_flag_says_so() -> None:
    text = export(
        workflow(
            command("a", "true"), command("b", "true"), instance("a", "Command"),
            instance("b", "Command", FAIL_PARENT_IF_INSTANCE_DID_NOT_RUN="YES"),
            link("Start", "a"), link("a", "b", "$a.Status = FAILED"),
        )
    )  # fmt: skip
    result = ran(text)
    assert (result.status, result.steps["b"].status) == ("failed", "skipped")
    assert result.error is not None
    assert "b did not run" in result.error["message"]


@pytest.mark.parametrize(("together", "expected"), [("YES", "skipped"), ("NO", "succeeded")])
def test_input_links_hold_together_or_one_by_one(together: str, expected: str) -> None:
    text = export(
        workflow(
            command("good", "true"), command("bad", "false"), command("end", "true"),
            instance("good", "Command"), instance("bad", "Command"),
            instance("end", "Command", TREAT_INPUTLINK_AS_AND=together),
            link("Start", "good"), link("Start", "bad"),
            link("good", "end", "$good.Status = SUCCEEDED"), link("bad", "end", "$bad.Status = SUCCEEDED"),
        )
    )  # fmt: skip
    assert statuses(text)["end"] == expected


def test_a_task_whose_link_says_no_keeps_what_follows_from_running() -> None:
    names = ("a", "b", "c")
    text = export(
        workflow(
            *(command(name, "true") for name in names), *(instance(name, "Command") for name in names),
            link("Start", "a"), link("a", "b", "$a.Status = FAILED"), link("b", "c"),
        )
    )  # fmt: skip
    assert statuses(text) == {"a": "succeeded", "b": "skipped", "c": "skipped"}


def test_a_disabled_task_is_led_past_and_its_links_are_still_asked() -> None:
    def flow(condition: str, first: str) -> str:
        return export(
            workflow(
                command("a", first), command("off", "true"), command("b", "true"),
                instance("a", "Command"), instance("off", "Command", ISENABLED="NO"), instance("b", "Command"),
                link("Start", "a"), link("a", "off", condition), link("off", "b", "$off.Status = DISABLED"),
            )
        )  # fmt: skip

    assert statuses(flow("", "true")) == {"a": "succeeded", "off": "skipped", "b": "succeeded"}
    assert statuses(flow("$a.Status = SUCCEEDED", "false"))["b"] == "skipped"
    result = ran(flow("", "true"))
    assert result.output["off"] == "DISABLED"


def test_the_task_before_is_looked_for_past_disabled_ones() -> None:
    text = export(
        workflow(
            command("a", "false"), command("off", "true"), command("b", "true"), command("c", "true"),
            instance("a", "Command"), instance("off", "Command", ISENABLED="NO"),
            instance("b", "Command"), instance("c", "Command"),
            *chain(["a", "off", "b"]), link("b", "c", "$b.PrevTaskStatus = FAILED"),
        )
    )  # fmt: skip
    assert statuses(text)["c"] == "succeeded"


def test_branches_overlap_and_the_join_waits_for_all(tmp_path: Path) -> None:
    waits = [
        f"touch {tmp_path}/{me}; i=0; while [ ! -e {tmp_path}/{other} ]; do i=$((i+1)); [ $i -lt 2000 ] || exit 9; sleep 0.01; done"
        for me, other in (("l", "r"), ("r", "l"))
    ]
    text = export(
        workflow(
            command("l", waits[0]), command("r", waits[1]), command("end", "true"),
            *(instance(name, "Command") for name in ("l", "r", "end")),
            link("Start", "l"), link("Start", "r"),
            link("l", "end", "$l.Status = SUCCEEDED"), link("r", "end", "$r.Status = SUCCEEDED"),
        )
    )  # fmt: skip
    assert set(statuses(text).values()) == {"succeeded"}


# -- tasks


def test_a_decision_tells_true_false_and_unknown() -> None:
    for text, expected in (("1 = 1", 1), ("1 = 2", 0), ("NULL = 1", None)):
        result = ran(export(workflow(decision("d", text), instance("d", "Decision"), link("Start", "d"))))
        assert result.steps["d"].output["value"] == expected


def test_a_decision_that_fails_is_null_for_whoever_asks() -> None:
    text = export(
        workflow(
            decision("d", "1 / 0"), command("b", "true"), command("n", "true"),
            instance("d", "Decision"), instance("b", "Command"), instance("n", "Command"),
            link("Start", "d"), link("d", "b", "$d.Condition = 1"), link("d", "n", "ISNULL($d.Condition)"),
        )
    )  # fmt: skip
    assert statuses(text) == {"d": "failed", "b": "skipped", "n": "succeeded"}


def test_assignments_happen_in_order_and_are_seen_by_what_follows() -> None:
    text = export(
        workflow(
            variable("$$N", "integer", "2"), variable("$$T", "string"),
            task("set", "Assignment", pair("$$T", "'n=' || $$N", 3), pair("$$N", "$$N + 1"), pair("$$N", "$$N * 10", 2)),
            command("say", "echo $$T"), instance("set", "Assignment"), instance("say", "Command"), *chain(["set", "say"]),
        )
    )  # fmt: skip
    assert ran(text).steps["say"].output["stdout"] == "n=30\n"


def test_commands_run_in_their_order_and_stop_or_go_on_as_they_say(tmp_path: Path) -> None:
    file = tmp_path / "seen"

    def flow(fail: str) -> str:
        commands = (f"echo 1 >> {file}", "exit 3", f"echo 3 >> {file}")
        return export(
            workflow(command("c", *commands, fail=fail), instance("c", "Command"), link("Start", "c"))
        )

    assert statuses(flow("YES"))["c"] == "failed"
    assert file.read_text(encoding="utf-8") == "1\n"
    file.unlink()
    assert statuses(flow("NO"))["c"] == "succeeded"
    assert file.read_text(encoding="utf-8") == "1\n3\n"


def test_a_command_has_its_folder_its_streams_and_its_code(tmp_path: Path) -> None:
    inside = task(
        "c", "Command", attribute("Working Directory", str(tmp_path)), pair("c", "pwd; echo err >&2; exit 7")
    )
    step = ran(export(workflow(inside, instance("c", "Command"), link("Start", "c")))).steps["c"]
    assert step.error is not None
    details = step.error["details"]
    assert (details["exit_code"], details["stdout"].strip(), details["stderr"].strip()) == (
        7,
        str(tmp_path),
        "err",
    )


def test_a_timer_waits_for_the_time_it_says() -> None:
    timer = '<TIMER TIMERTYPE ="START_RELATIVE_TO_PREVIOUSTASK"><STARTOPTIONS/><RECURRING DAYS ="0" HOURS ="0" MINUTES ="0"/></TIMER>'
    absolute = '<TIMER TIMERTYPE ="START_AT_ABSOLUTE_TIME"><STARTOPTIONS STARTDATE ="01/31/2026" STARTTIME ="05:30"/></TIMER>'
    top = '<TIMER TIMERTYPE ="START_RELATIVE_TO_TOPLEVEL_WORKFLOW"><RECURRING DAYS ="1" HOURS ="2" MINUTES ="3"/></TIMER>'
    document = converted(
        export(
            workflow(
                task("t", "Timer", timer), task("u", "Timer", absolute), task("v", "Timer", top),
                *(instance(name, "Timer") for name in "tuv"), *chain("tuv"),
            )
        )
    ).document  # fmt: skip
    steps = {step["name"]: step for step in document["steps"]}
    assert steps["u"]["until"] == "2026-01-31T05:30:00"
    assert steps["v"]["for"] == f"{(26 * 3600 + 180) * 1000}ms"
    assert steps["v"]["since"] == '${steps["Start"].output.started}'
    assert steps["t"]["for"] == "1ms"


def test_an_event_is_raised_and_waited_for_and_a_file_too(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    text = export(
        workflow(
            task("raise", "Event Raise", attribute("Event Name", "loaded")),
            task("wait", "Event Wait", attribute("Event Name", "loaded")),
            command("touch", f"touch {flag}"),
            task("file", "Event-Wait", attribute("Filewatch name", str(flag)), attribute("Delete Filewatch file", "YES")),
            instance("raise", "Event Raise"), instance("wait", "Event Wait"),
            instance("touch", "Command"), instance("file", "Event-Wait"),
            link("Start", "wait"), link("Start", "raise"), link("wait", "touch"), link("Start", "file"),
        )
    )  # fmt: skip
    assert set(statuses(text).values()) == {"succeeded"}
    assert not flag.exists()


@pytest.mark.parametrize(
    ("option", "status"),
    [
        ("Fail me", "succeeded"),
        ("Fail parent", "failed"),
        ("Fail top-level workflow", "failed"),
        ("Abort parent", "cancelled"),
    ],
)
def test_a_control_task_ends_what_it_says(option: str, status: str) -> None:
    text = export(
        workflow(
            task("stop", "Control", attribute("Control Option", option)), instance("stop", "Control"), link("Start", "stop")
        )
    )  # fmt: skip
    assert ran(text).status == status


def test_an_email_goes_out_by_the_server_of_the_parameter_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = export(
        workflow(
            task("mail", "Email", attribute("Email User Name", "a@example.com;b@example.com"),
                 attribute("Email Subject", "done"), attribute("Email Text", "Load %s is done: $$N")),
            variable("$$N", "integer", "4"), instance("mail", "Email"), link("Start", "mail"),
        )
    )  # fmt: skip
    sent: list[tuple[Any, ...]] = []

    class Server:
        def __init__(self, host: str, port: int, **more: Any) -> None:
            sent.append((host, port))

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *ignored: object) -> None:
            return

        def __getattr__(self, name: str) -> Any:
            def call(*args: Any, **more: Any) -> Any:
                sent.append((name, *args))
                return {} if "send" in name else (250, b"")

            return call

    monkeypatch.setattr(smtplib, "SMTP", Server)
    files = {
        "p.par": "[Service:IS]\nSMTPServerAddress=127.0.0.1\nSMTPPortNumber=2525\nSMTPFromAddress=x@example.com\nSMTPSecurity=none\n"
    }
    result = ran(text, parameters=files)
    assert result.steps["mail"].status == "succeeded", result.steps["mail"].error
    assert sent[0] == ("127.0.0.1", 2525)
    said = " ".join(str(part) for call in sent for part in call)
    assert "a@example.com" in said
    assert "b@example.com" in said
    assert "is done: 4" in said
    assert any("%s" in note for note in notes_of(text, parameters=files))


def test_an_email_without_a_server_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODELING_SMTP_HOST", raising=False)
    mail = task("mail", "Email", attribute("Email User Name", "a@example.com"), attribute("Email Text", "x"))
    step = ran(export(workflow(mail, instance("mail", "Email"), link("Start", "mail")))).steps["mail"]
    assert step.error is not None
    assert "set NODELING_SMTP_HOST, or SMTPServerAddress in a parameter file" in step.error["message"]


# -- worklets, variables, parameters


def test_a_worklet_is_run_in_its_place_twice_under_names_of_its_own() -> None:
    inner = worklet(
        "wl",
        command("x", "echo $$W"),
        instance("x", "Command"),
        link("Start", "x"),
        variable("$$W", "string", "w"),
    )
    text = export(
        inner,
        workflow(
            instance("one", "Worklet", "wl"), instance("two", "Worklet", "wl"), command("end", "true"), instance("end", "Command"),
            link("Start", "one"), link("one", "two", "$one.Status = SUCCEEDED"), link("two", "end"),
        ),
    )  # fmt: skip
    document = converted(text).document
    steps = {step["name"]: step for step in document["steps"]}
    assert steps["one"]["steps"][0]["name"] == "one-x"
    assert steps["two"]["steps"][0]["name"] == "two-x"
    result = ran(text)
    assert (result.status, result.steps["two"].output["stdout"]) == ("succeeded", "w\n")


def test_a_failure_in_a_worklet_reaches_its_parent_by_the_flags_alone() -> None:
    def flow(**flags: str) -> str:
        inner = worklet("wl", command("x", "false"), instance("x", "Command", **flags), link("Start", "x"))
        return export(inner, workflow(instance("w", "Worklet", "wl"), link("Start", "w")))

    assert statuses(flow())["w"] == "succeeded"
    assert statuses(flow(FAIL_PARENT_IF_INSTANCE_FAILS="YES"))["w"] == "failed"


def test_parameter_files_set_variables_from_the_general_to_the_particular() -> None:
    text = export(
        workflow(
            variable("$$A", "string", "default"), variable("$$B", "integer", "1"), variable("$$C", "string", "kept"),
            command("say", "echo $$A $$B $$C $PMRootDir"), instance("say", "Command"), link("Start", "say"),
        )
    )  # fmt: skip
    file = "# a comment\n[Global]\n$$A=global\n$PMRootDir=/data\n[DEMO.WF:wf_demo]\n$$A=mine\n$$B=7\n[DEMO.WF:other]\n$$A=theirs\n"
    assert ran(text, parameters={"p": file}).steps["say"].output["stdout"] == "mine 7 kept /data\n"


def test_a_parameter_that_is_no_value_of_its_datatype_fails_the_start() -> None:
    text = export(
        workflow(
            variable("$$B", "integer", "x"),
            command("c", "true"),
            instance("c", "Command"),
            link("Start", "c"),
        )
    )
    result = ran(text)
    assert result.status == "failed"
    assert result.error is not None
    assert "$$B is integer, and 'x' is none" in result.error["message"]


def test_a_parameter_file_that_cannot_be_read_is_refused_line_by_line() -> None:
    with pytest.raises(ConfigError) as refused:
        converted(two(""), parameters={"p.par": "$$A=1\n[Global]\nnonsense\n"})
    assert [(fault.line, fault.message) for fault in refused.value.faults] == [
        (1, "this is a pair outside any section"),
        (3, "this is neither a section nor NAME=VALUE"),
    ]


def counting(**flags: str) -> str:
    """A workflow that counts its runs in a persistent variable, and fails where a file says so."""
    return export(
        workflow(
            variable("$$RUNS", "integer", "0", ISPERSISTENT="YES"), variable("$$OTHER", "string", "o"),
            task("count", "Assignment", pair("$$RUNS", "$$RUNS + 1")), command("say", "echo $$RUNS; test ! -e broken"),
            instance("count", "Assignment"), instance("say", "Command", FAIL_PARENT_IF_INSTANCE_FAILS="YES"),
            *chain(["count", "say"]), **flags,
        )
    )  # fmt: skip


def said_by(text: str, **wishes: Any) -> str:
    step = ran(text, **wishes).steps["say"]
    return str((step.output or (step.error or {})["details"])["stdout"]).strip()


def test_a_persistent_variable_begins_with_what_the_last_successful_run_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert [said_by(counting()) for _ in range(3)] == ["1", "2", "3"]
    kept = tmp_path / ".nodeling" / "powercenter" / "wf_demo.variables.json"
    assert json.loads(kept.read_text(encoding="utf-8")) == {"$$RUNS": 3}
    Path("broken").touch()
    assert said_by(counting()) == "4"
    Path("broken").unlink()
    assert said_by(counting()) == "4"  # what a failed run counted is not kept
    assert said_by(counting(), parameters={"p": "[DEMO.WF:wf_demo]\n$$RUNS=40\n"}) == "41"
    assert said_by(counting()) == "42"
    kept.write_text("[]", encoding="utf-8")
    broken = ran(counting())
    assert (broken.status, str(kept) in (broken.error or {})["message"]) == ("failed", True)


def test_persistent_variables_are_kept_where_a_parameter_file_says_and_nowhere_without_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert [said_by(counting()) for _ in range(2)] == ["1", "1"]
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "wf.xml"
    path.write_text(counting(), encoding="utf-8")
    assert "there is neither, so they begin with their defaults" in invoke("run", path).stderr
    place = {"p": f"[Global]\n$PMStorageDir={tmp_path}/store\n"}
    assert [said_by(counting(), parameters=place) for _ in range(2)] == ["1", "2"]
    assert [one.name for one in (tmp_path / "store").iterdir()] == ["wf_demo.variables.json"]


def test_a_workflow_whose_name_is_a_path_keeps_its_variables_in_their_folder(tmp_path: Path) -> None:
    assert file_of(None, "../../etc/passwd", tmp_path) is None
    inside = file_of(str(tmp_path), "../../etc/passwd", tmp_path)
    assert inside is not None
    assert inside.parent == tmp_path


def test_expressions_know_the_present_and_when_a_task_began_and_ended(tmp_path: Path) -> None:
    wait = task(
        "t",
        "Timer",
        '<TIMER TIMERTYPE ="START_RELATIVE_TO_PREVIOUSTASK"><RECURRING SECONDS ="0.02"/></TIMER>',
    )
    text = export(
        workflow(
            wait, decision("later", "SYSDATE > WORKFLOWSTARTTIME"), decision("took", "DATE_DIFF($t.EndTime, $t.StartTime, 'MS') >= 20"),
            decision("order", "$t.StartTime >= $Start.StartTime AND $later.StartTime >= $t.EndTime"),
            decision("unrun", "ISNULL($never.StartTime)"), command("never", "true"),
            instance("t", "Timer"), *(instance(name, "Decision") for name in ("later", "took", "order", "unrun")), instance("never", "Command"),
            *chain(["t", "later", "took", "order", "unrun"]), link("Start", "never", "1 = 2"), link("never", "unrun"),
        )
    ).replace('NAME ="unrun" TASKNAME ="unrun" TASKTYPE ="Decision" ISENABLED ="YES" REUSABLE ="NO" TREAT_INPUTLINK_AS_AND ="YES"',
              'NAME ="unrun" TASKNAME ="unrun" TASKTYPE ="Decision" ISENABLED ="YES" REUSABLE ="NO" TREAT_INPUTLINK_AS_AND ="NO"')  # fmt: skip
    result = ran(text)
    for name in ("later", "took", "order", "unrun"):
        assert result.steps[name].output["value"] == 1, (name, result.steps[name].error)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("Restart task", "again"),
        ("Resume from the last checkpoint", "again"),
        ("Fail task and continue workflow", "fail"),
    ],
)
def test_a_recovery_strategy_says_what_becomes_of_a_task_whose_process_died(
    strategy: str, expected: str | None
) -> None:
    text = export(
        workflow(
            session("s", "m", attribute("Recovery Strategy", strategy)), instance("s", "Session"), link("Start", "s"),
            task("c", "Command", attribute("Recovery Strategy", strategy), pair("x", "true")), instance("c", "Command"), link("s", "c"),
        )
    )  # fmt: skip
    steps = {step["name"]: step for step in converted(text, bindings={"s": "node"}).document["steps"]}
    assert [steps[name].get("on_lost") for name in "sc"] == [expected, expected]


# -- sessions


def load_flow() -> str:
    return export(
        workflow(
            session("s_load", "m_load", attribute("Commit Interval", "500"), attribute("js", "js/1 ${x}")),
            command("ok", "true"), command("empty", "true"),
            instance("s_load", "Session"), instance("ok", "Command"), instance("empty", "Command"),
            link("Start", "s_load"), link("s_load", "ok", "$s_load.SrcSuccessRows > 0"),
            link("s_load", "empty", "$s_load.SrcSuccessRows = 0"),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    "told", ['ctx.metric("SrcSuccessRows", 12)\n    return {}', 'return {"src_success_rows": 12}']
)
def test_a_session_is_a_node_that_gets_its_attributes_and_tells_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    check = "assert ctx.config['mapping'] == 'm_load' and ctx.config['Commit Interval'] == '500', ctx.config"
    js = "assert ctx.config['js'] == 'js/1 ${x}'"
    write_node(
        tmp_path,
        "loader",
        f"def run(ctx, inputs):\n    {check}\n    {js}\n    {told}\n",
        config={"type": "object"},
    )
    path = tmp_path / "wf.xml"
    path.write_text(load_flow(), encoding="utf-8")
    result = invoke("run", path, "--bind", "m_load=loader", "--json")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)["output"] == {
        "s_load": "SUCCEEDED",
        "ok": "SUCCEEDED",
        "empty": "NOTSTARTED",
    }


def test_unbound_sessions_are_listed_all_at_once_and_a_dry_run_shows_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "wf.xml"
    path.write_text(load_flow(), encoding="utf-8")
    result = invoke("run", path)
    assert result.exit_code == 65
    assert "the session 's_load' is bound to no node; --bind s_load=NODE" in result.stderr
    assert f"{path}:12:1" in result.stderr
    dry = invoke("run", path, "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "Link [s_load --> empty]: $s_load.SrcSuccessRows = 0" in dry.stdout
    assert "wave 3: ok, empty" in dry.stdout


def test_a_binding_that_names_no_session_is_a_misspelling() -> None:
    said = faults_of(load_flow(), bindings={"s_laod": "x", "s_load": "y"})
    assert any("'s_laod', which is no session" in one and "did you mean 's_load'?" in one for one in said)


# -- what is refused, and what stays behind


def test_everything_wrong_is_listed_with_its_line() -> None:
    text = export(
        workflow(
            command("a", "true"), task("odd", "Human"), decision("d", "$a.Statuss = 1 AND"),
            instance("a", "Command"), instance("d", "Decision"), instance("gone", "Command", "nowhere"),
            link("Start", "a"), link("a", "dd", ""), link("a", "d", "$b.Status = 1 OR $a.Stat = 1 OR $$N = 1 OR $PMX = 1"),
        )
    )  # fmt: skip
    said = faults_of(text)
    joined = "\n".join(said)
    for part in (
        "task 'odd' has the type 'Human'",
        "'gone' is a task 'nowhere', which is not here",
        "a link names 'dd', which is no task here; did you mean 'd'?",
        "cannot be read: the expression ends here, where a value is wanted",
        "$b.Status: no such task is known here",
        "$a.Stat: no such variable of a task is known here; did you mean Status?",
        "$$N: no such variable is known here",
        "$PMX is set on the server and not in this file; give it in a parameter file",
    ):
        assert part in joined
    assert all(one.startswith("wf.xml:") for one in said)


def test_what_stays_behind_is_noted() -> None:
    schedule = '<SCHEDULER NAME ="nightly"><SCHEDULEINFO SCHEDULETYPE ="CONTINUOUS"/></SCHEDULER>'
    text = export(
        workflow(
            schedule, command("a", "true"), command("lost", "true"),
            instance("a", "Command"), instance("lost", "Command"), link("Start", "a"),
            ISENABLED="NO",
        )
    )  # fmt: skip
    joined = "\n".join(notes_of(text))
    for part in (
        "the schedule 'nightly (CONTINUOUS)'",
        "no link leads to 'lost'",
        "is disabled there",
    ):
        assert part in joined


def test_an_export_of_several_workflows_is_asked_which() -> None:
    one, other = (
        workflow(command("c", "true"), instance("c", "Command"), link("Start", "c"), name=name)
        for name in ("wf_a", "wf_b")
    )
    with pytest.raises(ConfigError, match="holds 2 workflows: wf_a, wf_b; say which"):
        converted(export(one, other))
    assert converted(export(one, other), bindings={"WORKFLOW": "wf_b"}).document["name"] == "wf_b"
    with pytest.raises(ConfigError, match="did you mean 'wf_a'"):
        converted(export(one, other), bindings={"WORKFLOW": "wf_aa"})


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE POWERMART [<!ENTITY a "x">]><POWERMART><WORKFLOW NAME="&a;"/></POWERMART>',
        '<!DOCTYPE POWERMART [<!ENTITY a SYSTEM "file:///etc/passwd">]><POWERMART>&a;</POWERMART>',
        '<!DOCTYPE POWERMART [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><POWERMART>&b;</POWERMART>',
        "<!DOCTYPE POWERMART [<!ELEMENT POWERMART ANY>]><POWERMART/>",
        "<POWERMART>" * 100,
        "<POWERMART><WORKFLOW>",
    ],
)
def test_hostile_xml_ends_at_the_door(text: str) -> None:
    assert recognises(Source("wf.xml", text))
    with pytest.raises(ConfigError) as refused:
        converted(text)
    assert refused.value.code == "powercenter.xml"
    assert refused.value.faults[0].line is not None


def test_the_simplified_elements_are_read_too() -> None:
    text = """<WORKFLOW NAME="simple">
      <COMMAND NAME="a" COMMAND="exit 1" FAIL_PARENT_IF_INSTANCE_FAILS="NO"/>
      <COMMAND NAME="b" COMMAND="true"/>
      <COMMAND NAME="c" COMMAND="true"/>
      <DECISION NAME="d" CONDITION="$a.Status = FAILED"/>
      <TIMER NAME="t" WAITTIME="0"/>
      <TASKLINK FROMTASK="a" TOTASK="b" CONDITION="SUCCESS"/>
      <TASKLINK FROMTASK="a" TOTASK="c" CONDITION="FAILURE"/>
      <TASKLINK FROMTASK="a" TOTASK="d" CONDITION="UNCONDITIONAL"/>
      <TASKLINK FROMTASK="d" TOTASK="t" CONDITION="UNCONDITIONAL" EXPRESSION="$d.Condition = 1"/>
    </WORKFLOW>"""
    assert statuses(text) == {
        "a": "failed",
        "b": "skipped",
        "c": "succeeded",
        "d": "succeeded",
        "t": "succeeded",
    }


def test_a_converted_export_checks_clean_and_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "wf.xml"
    path.write_text(two("$a.Status = FAILED", "false"), encoding="utf-8")
    native = tmp_path / "wf.yaml"
    assert invoke("convert", path, "-o", native).exit_code == 0
    assert invoke("check", native).exit_code == 0
    outputs = [json.loads(invoke("run", one, "--json").stdout)["output"] for one in (path, native)]
    assert outputs[0] == outputs[1] == {"a": "FAILED", "b": "SUCCEEDED"}


def test_an_export_is_drawn_and_checked_without_bindings_and_with_the_workflow_that_is_meant(
    tmp_path: Path,
) -> None:
    path = tmp_path / "wf.xml"
    path.write_text(load_flow(), encoding="utf-8")
    drawn = invoke("graph", path)
    assert (drawn.exit_code, "s_load  [powercenter-unbound]" in drawn.stdout) == (0, True)
    one, other = (
        workflow(command(f"in_{name}", "true"), instance(f"in_{name}", "Command"), link("Start", f"in_{name}"), name=name)
        for name in ("wf_a", "wf_b")
    )  # fmt: skip
    path.write_text(export(one, other), encoding="utf-8")
    for asked in ("graph", "check"):
        assert invoke(asked, path).exit_code == 65
        assert invoke(asked, path, "--bind", "WORKFLOW=wf_b").exit_code == 0
    assert "in_wf_b" in invoke("graph", path, "--bind", "WORKFLOW=wf_b").stdout
    assert invoke("check", path, "--from", "nonsense").exit_code == 65


def test_a_timer_in_a_worklet_counts_from_its_parent_or_from_the_top_as_it_says(tmp_path: Path) -> None:
    def timer(name: str, kind: str) -> str:
        wait = f'<TIMER TIMERTYPE ="START_RELATIVE_TO_{kind}"><RECURRING SECONDS ="0.01"/></TIMER>'
        return task(name, "Timer", wait)

    inner = worklet(
        "wl", timer("mine", "PARENT_WORKFLOW"), timer("all", "TOPLEVEL_WORKFLOW"), command("end", "true"),
        instance("mine", "Timer"), instance("all", "Timer"), instance("end", "Command"),
        link("Start", "mine"), link("Start", "all"), link("mine", "end"), link("all", "end"),
    )  # fmt: skip
    text = export(
        inner,
        workflow(instance("one", "Worklet", "wl"), instance("two", "Worklet", "wl"), *chain(["one", "two"])),
    )
    steps = {step["name"]: step for step in converted(text).document["steps"]}
    for name in ("one", "two"):
        found = {step["name"]: step for step in steps[name]["steps"]}
        assert found[f"{name}-mine"]["since"] == f'${{steps["{name}-Start"].output.started}}'
        assert found[f"{name}-all"]["since"] == '${steps["Start"].output.started}'
        assert found[f"{name}-mine"]["needs"] == [{"step": f"{name}-Start", "on": "success"}]
    assert ran(text).status == "succeeded"
    path = tmp_path / "wf.xml"
    path.write_text(text, encoding="utf-8")
    assert invoke("check", path, "--strict").exit_code == 0, invoke("check", path).output


@pytest.mark.parametrize(("said", "expected"), [(None, None), ("YES", None), ("NO", False)])
def test_an_event_of_the_past_counts_unless_its_wait_says_that_it_does_not(
    said: str | None, expected: bool | None
) -> None:
    more = [] if said is None else [attribute("Enable Past Events", said)]
    wait = task("w", "Event Wait", attribute("Event Name", "loaded"), *more)
    document = converted(export(workflow(wait, instance("w", "Event Wait"), link("Start", "w")))).document
    (step,) = [one for one in document["steps"] if one["name"] == "w"]
    assert (step.get("past"), step["event"]) == (expected, "loaded")
    assert nodeling.load(document).check() == []
