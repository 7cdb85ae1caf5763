"""Workflows that suspend on errors: what waits, who is told, and what `nodectl runs resume` does."""

from __future__ import annotations

import json
import smtplib
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from cli_calls import invoke
from nodeling.errors import ConfigError
from nodeling.formats import Source, Wishes
from nodeling_bridges.powercenter.load import convert
from unit_exports import attribute, command, export, instance, link, task, workflow, worklet

PROJECT = {"NODELING_STORE": ""}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def says(name: str, *, fails: bool = False) -> str:
    """A command that leaves its name behind, and fails while there is a file that says so."""
    return command(name, f"echo {name} >> calls" + (f"; test ! -e broken-{name}" if fails else ""))


def whole(*parts: str, **flags: str) -> str:
    return export(workflow(*parts, SUSPEND_ON_ERROR="YES", **flags))


def tasks(*names: str, **flags: str) -> list[str]:
    return [instance(name, "Command", **flags) for name in names]


class Night:
    """One export in a project: it is run, resumed, and what its commands did is looked at."""

    def __init__(self, project: Path, text: str) -> None:
        self.folder = project
        (project / "wf.xml").write_text(text, encoding="utf-8")

    def breaks(self, *names: str) -> None:
        for name in names:
            (self.folder / f"broken-{name}").touch()

    def mend(self) -> None:
        for file in self.folder.glob("broken-*"):
            file.unlink()

    def run(self, *args: object) -> Any:
        return invoke("run", "wf.xml", "--json", *args, env=PROJECT)

    def resume(self) -> Any:
        listed = invoke("runs", "list", "--json", "--status", "suspended", env=PROJECT).stdout
        (row,) = json.loads(listed)
        return invoke("runs", "resume", row["run_id"], "--json", env=PROJECT)

    def done(self) -> list[str]:
        file = self.folder / "calls"
        found = sorted(file.read_text(encoding="utf-8").split()) if file.exists() else []
        file.unlink(missing_ok=True)
        return found


def test_a_failed_task_suspends_the_workflow_and_its_links_are_asked_when_it_has_been_done_again(
    project: Path,
) -> None:
    night = Night(
        project,
        whole(
            says("load", fails=True), says("after"), says("other"), says("either"), says("end"),
            *tasks("load", "after", "other", "end"),
            instance("either", "Command", TREAT_INPUTLINK_AS_AND="NO"),
            link("Start", "load"), link("Start", "other"), link("load", "after"),
            link("load", "either", "$load.Status = SUCCEEDED"), link("other", "either"),
            link("after", "end"), link("other", "end"),
        ),
    )  # fmt: skip
    night.breaks("load")
    first = night.run()
    assert (first.exit_code, night.done()) == (75, ["either", "load", "other"])
    assert "nodectl runs resume" in first.stderr
    again = night.resume()
    assert (again.exit_code, night.done()) == (75, ["load"])
    night.mend()
    last = night.resume()
    assert (last.exit_code, night.done()) == (0, ["after", "end", "load"])
    assert set(json.loads(last.stdout)["output"].values()) == {"SUCCEEDED"}


def test_a_task_that_fails_in_a_worklet_suspends_the_whole_and_alone_is_done_again(project: Path) -> None:
    inner = worklet(
        "wl", says("one"), says("two", fails=True), says("three"), says("four"),
        *tasks("one", "two", "three", "four"),
        link("Start", "one"), link("one", "two"), link("two", "three"), link("one", "four"),
    )  # fmt: skip
    night = Night(
        project,
        export(
            inner,
            workflow(
                instance("w", "Worklet", "wl"), says("after"), *tasks("after"),
                link("Start", "w"), link("w", "after"), SUSPEND_ON_ERROR="YES",
            ),
        ),
    )  # fmt: skip
    night.breaks("two")
    assert (night.run().exit_code, night.done()) == (75, ["four", "one", "two"])
    night.mend()
    assert (night.resume().exit_code, night.done()) == (0, ["after", "three", "two"])


def test_the_suspension_email_goes_out_once_each_time_the_workflow_is_suspended(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = mails(monkeypatch)
    mail = task(
        "mail_me", "Email", attribute("Email User Name", "night@example.com"),
        attribute("Email Subject", "suspended"), attribute("Email Text", "Look at it."),
    )  # fmt: skip
    night = Night(
        project,
        whole(
            mail, says("load", fails=True), says("also", fails=True), *tasks("load", "also"),
            link("Start", "load"), link("Start", "also"), SUSPENSION_EMAIL="mail_me",
        ),
    )  # fmt: skip
    server = "[Service:IS]\nSMTPServerAddress=127.0.0.1\nSMTPFromAddress=x@example.com\nSMTPSecurity=none\n"
    (project / "p.par").write_text(server, encoding="utf-8")
    night.breaks("load", "also")
    assert night.run("--parameter-file", "p.par").exit_code == 75
    assert sent == ["suspended"]
    assert night.resume().exit_code == 75
    assert sent == ["suspended", "suspended"]
    night.mend()
    assert night.resume().exit_code == 0
    assert sent == ["suspended", "suspended"]


def test_a_control_task_and_a_task_that_had_to_run_fail_the_workflow_rather_than_suspend_it(
    project: Path,
) -> None:
    stop = task("stop", "Control", attribute("Control Option", "Fail parent"))
    night = Night(project, whole(stop, instance("stop", "Control"), link("Start", "stop")))
    assert night.run().exit_code == 1
    text = whole(
        says("a"), says("b"), *tasks("a"), *tasks("b", FAIL_PARENT_IF_INSTANCE_DID_NOT_RUN="YES"),
        link("Start", "a"), link("a", "b", "$a.ErrorCode <> 0"),
    )  # fmt: skip
    assert Night(project, text).run().exit_code == 1


def test_a_command_task_that_never_fails_suspends_nothing(project: Path) -> None:
    text = whole(
        command("c", "exit 3", fail="NO"), says("after"), *tasks("c", "after"),
        link("Start", "c"), link("c", "after"),
    )  # fmt: skip
    night = Night(project, text)
    assert (night.run().exit_code, night.done()) == (0, ["after"])


def test_a_suspension_email_that_is_no_email_task_is_refused_where_the_workflow_stands() -> None:
    text = whole(says("a"), *tasks("a"), link("Start", "a"), SUSPENSION_EMAIL="mail_me")
    with pytest.raises(ConfigError) as refused:
        convert(Source("wf.xml", text), Wishes())
    assert ["SUSPENSION_EMAIL names 'mail_me'" in str(fault) for fault in refused.value.faults] == [True]
    assert refused.value.faults[0].line == 6


def mails(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A mail server that takes everything; the subjects it was given."""
    sent: list[str] = []

    class Server:
        def __init__(self, host: str, port: int, **more: Any) -> None:
            return

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *ignored: object) -> None:
            return

        def __getattr__(self, name: str) -> Any:
            def call(*args: Any, **more: Any) -> Any:
                if "send" in name:
                    sent.extend(str(part["Subject"]) for part in args if isinstance(part, Message))
                return {} if "send" in name else (250, b"")

            return call

    monkeypatch.setattr(smtplib, "SMTP", Server)
    return sent
