from __future__ import annotations

import asyncio
import json
import os
import resource
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from exec_calls import Programs, Source, is_alive, until, with_dispatcher, zombies
from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.dispatch.exec import ExecDispatcher
from nodeling_runtime.registry import NodeSpec
from programs import need


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def error(outcome: Outcome) -> CallError:
    assert outcome.output is None
    assert outcome.error is not None
    return outcome.error


def output(outcome: Outcome) -> Any:
    assert outcome.error is None, outcome.error
    assert outcome.output is not None
    return outcome.output.fresh()


# --- What a program is given ----------------------------------------------------------------------


def test_the_params_arrive_on_one_line_followed_by_the_end(programs: Programs) -> None:
    spec = programs.bash('read -r line; cat >&2; printf "%s" "$line"')
    given = {"text": "line\none", "n": 1.5, "e": "é"}
    outcome = programs.run(
        spec, given, config={"k": [1]}, secrets={"KEY": "hunter22"}, deadline=1700000000.25, attempt=3
    )
    params = output(outcome)
    work_dir = params["context"].pop("work_dir")
    assert params == {
        "node": "probe",
        "input": given,
        "config": {"k": [1]},
        "secrets": {"KEY": "hunter22"},
        "context": {"run_id": "run-1", "step": "probe", "attempt": 3, "idempotency_key": "key-1"},
        "deadline": 1700000000250,
    }
    assert work_dir.startswith(str(programs.work))
    assert programs.log == []


def test_what_reads_names_of_the_context_is_sent_and_nothing_else(programs: Programs) -> None:
    source = Source({"load": b"[1]", "other": b"2"}, {"request.body": b'{"q":1}', "request.headers": b"{}"})
    spec = programs.command("cat", reads=["vars.load", "vars.none", "request.body", "error"])
    context = output(programs.run(spec, source=source))["context"]
    assert (context["vars"], context["request"]) == ({"load": [1]}, {"body": {"q": 1}})
    every = programs.command("cat", reads=["vars.*"])
    assert output(programs.run(every, source=source))["context"]["vars"] == {"load": [1], "other": 2}


def test_stdin_json_is_the_input_alone(programs: Programs) -> None:
    assert output(programs.run(programs.command("cat", stdin="json"), {"a": [1, None]})) == {"a": [1, None]}


@pytest.mark.parametrize("inputs", ["a\nb", {"text": "a\nb", "more": 1}])
def test_stdin_text_is_the_string_without_anything_added(programs: Programs, inputs: Any) -> None:
    assert output(programs.run(programs.command("wc", "-c", stdin="text"), inputs)) == 3


@pytest.mark.parametrize(("inputs", "pointer"), [({"text": 1}, "/text"), ({}, "/text"), ([], ""), (None, "")])
def test_stdin_text_without_a_string_is_an_invalid_input(
    programs: Programs, inputs: Any, pointer: str
) -> None:
    found = error(programs.run(programs.command("cat", stdin="text"), inputs))
    assert (found.code, found.started, found.details["pointer"]) == (4001, False, pointer)
    assert "stdin: json" in found.message


def test_stdin_none_is_the_null_device(programs: Programs) -> None:
    assert (
        output(programs.run(programs.bash("readlink /proc/self/fd/0", stdin="none", output="text")))
        == "/dev/null"
    )


def test_the_environment_is_exact_and_a_canary_of_the_host_is_absent(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "sings")
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.delenv("UNSET", raising=False)
    spec = programs.python(
        "import json, os; print(json.dumps(dict(os.environ)))", env=["WANTED", "UNSET"], stdin="none"
    )
    found = output(programs.run(spec, secrets={"KEY": "hunter22"}))
    assert set(found) == {
        "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONUTF8", "PYTHONUNBUFFERED", "NO_COLOR",
        "WANTED", "NODELING", "NODELING_CALL", "NODELING_RESULT_FILE", "NODELING_RUN_ID", "NODELING_STEP",
        "NODELING_ATTEMPT", "NODELING_WORK_DIR", "NODELING_BLOB_DIR", "NODELING_IDEMPOTENCY_KEY",
    }  # fmt: skip
    assert (found["LANG"], found["LC_ALL"], found["WANTED"], found["NODELING"]) == (
        "C.UTF-8",
        "C.UTF-8",
        "yes",
        "1",
    )
    assert (found["NODELING_RUN_ID"], found["NODELING_STEP"], found["NODELING_ATTEMPT"]) == (
        "run-1",
        "probe",
        "1",
    )


def test_the_folders_are_private_and_gone_after_the_call(programs: Programs) -> None:
    spec = programs.bash(
        'touch "$HOME/a" "$TMPDIR/b" "$NODELING_WORK_DIR/c"; mkdir "$HOME/shut"; touch "$HOME/shut/d"; '
        'stat -c "\\"%a\\"" "$HOME" "$TMPDIR" "$NODELING_WORK_DIR" "$(dirname "$HOME")"; '
        'chmod 0 "$HOME/shut"',
        output="jsonl",
    )
    assert output(programs.run(spec)) == ["700"] * 4
    assert programs.left_behind() == []


def test_a_program_runs_in_the_folder_of_its_node(programs: Programs) -> None:
    assert output(programs.run(programs.command("pwd", output="text"))) == str(programs.folder)


def test_no_descriptor_of_the_host_is_inherited(programs: Programs) -> None:
    readable, writable = os.pipe()
    os.set_inheritable(writable, True)
    try:
        spec = programs.python(
            "import json, os; print(json.dumps(sorted(map(int, os.listdir('/proc/self/fd')))))"
        )
        assert [fd for fd in output(programs.run(spec)) if fd > 3] == []  # 3 is the listing's own
    finally:
        os.close(readable)
        os.close(writable)


def test_a_perl_program_is_a_node(programs: Programs) -> None:
    need("perl")
    (programs.folder / "n.pl").write_text(
        'my $l = <STDIN>; $l =~ /"n":(\\d+)/; print $1 * 2, "\\n";', encoding="utf-8"
    )
    assert output(programs.run(programs.command("perl", "n.pl"), {"n": 21})) == 42


# --- What a program answers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "script", "wanted"),
    [
        ("json", "echo '{ \"a\": [1,\n 2] }'", {"a": [1, 2]}),
        ("jsonl", 'printf \'1\\r\\n\\n{"a":2}\\n"x"\'', [1, {"a": 2}, "x"]),
        ("jsonl", "true", []),
        ("text", "printf 'a\\n\\n'", "a\n"),
        ("text", "true", ""),
        ("none", "echo talk", None),
    ],
)
def test_stdout_is_read_as_the_manifest_says(programs: Programs, kind: str, script: str, wanted: Any) -> None:
    assert output(programs.run(programs.bash(script, output=kind))) == wanted


def test_stdout_of_a_program_without_output_is_a_log(programs: Programs) -> None:
    programs.run(programs.bash("echo talk", output="none"))
    assert programs.events == [("log", {"level": "info", "stream": "stdout", "message": "talk"})]


def test_the_result_file_wins_over_stdout_and_carries_writes(programs: Programs) -> None:
    spec = programs.bash(
        'echo noise; echo \'{"output": {"n": 1}, "vars": {"k": null}}\' > "$NODELING_RESULT_FILE"'
    )
    outcome = programs.run(spec)
    assert output(outcome) == {"n": 1}
    assert outcome.delta == {"k": b"null"}


def test_an_error_in_the_result_file_is_the_calls_error(programs: Programs) -> None:
    body = {"error": {"code": 5001, "message": "slow down", "retryable": False, "details": {"limit": 3}}}
    spec = programs.bash(f"echo '{json.dumps(body)}' > \"$NODELING_RESULT_FILE\"; exit 9")
    found = error(programs.run(spec))
    assert (found.code, found.message, found.retryable) == (5001, "slow down", False)
    assert found.details == {"exit_code": 9, "limit": 3}


def test_an_output_in_the_result_file_does_not_hide_a_failing_exit(programs: Programs) -> None:
    spec = programs.bash('echo \'{"output": 1}\' > "$NODELING_RESULT_FILE"; echo late >&2; exit 3')
    found = error(programs.run(spec))
    assert (found.code, found.message) == (4000, "probe ended with exit code 3: late")


@pytest.mark.parametrize("made", ["ln -s /etc/passwd", "mkfifo", "mkdir"])
def test_a_result_file_that_is_no_ordinary_file_is_refused(programs: Programs, made: str) -> None:
    assert error(programs.run(programs.bash(f'{made} "$NODELING_RESULT_FILE"; echo 1'))).code == 9004


@pytest.mark.parametrize(
    ("script", "code", "retryable"),
    [
        ("exit 75", 5000, True),
        ("exit 65", 4001, None),
        ("exit 78", 4002, None),
        ("exit 1", 4000, None),
        ("exit 127", 4000, None),
        ("kill -SEGV $$", 9003, None),
    ],
)
def test_each_way_to_exit_has_its_code(
    programs: Programs, script: str, code: int, retryable: bool | None
) -> None:
    found = error(programs.run(programs.bash(f"echo first >&2; echo 'why it failed' >&2; echo 1; {script}")))
    assert (found.code, found.retryable, found.started) == (code, retryable, True)
    assert found.message.endswith(": why it failed")
    assert found.details["stderr"] == "first\nwhy it failed"
    if code == 9003:
        assert "SIGSEGV" in found.message


@pytest.mark.parametrize("script", ["true", "echo 1 2", "echo '{'", "echo NaN", "echo 12345678901234567890"])
def test_fault_04_exit_0_without_an_answer_that_parses_is_no_success(programs: Programs, script: str) -> None:
    found = error(programs.run(programs.bash(script)))
    assert (found.code, found.details["exit_code"]) == (4006, 0)


# --- Programs that do not start -------------------------------------------------------------------


def test_fault_01_a_missing_program_is_named_with_where_it_was_looked_for(programs: Programs) -> None:
    found = error(programs.run(programs.command("no-such-program")))
    assert (found.code, found.retryable, found.started) == (9001, False, False)
    assert "'no-such-program'" in found.message
    assert os.environ["PATH"] in found.message
    assert "install no-such-program" in found.message
    assert programs.left_behind() == []


def test_fault_01_a_file_of_the_node_is_found_only_by_its_path(programs: Programs) -> None:
    program = programs.folder / "tool"
    program.write_text("#!/bin/sh\necho 7\n", encoding="utf-8")
    assert "write ./tool" in error(programs.run(programs.command("tool"))).message
    assert "chmod +x" in error(programs.run(programs.command("./tool"))).message
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert output(programs.run(programs.command("./tool"))) == 7


@pytest.mark.parametrize(
    ("content", "says"), [("\x7fELF nonsense", "machine"), ("#!/no/such/thing\n", "interpreter")]
)
def test_fault_01_a_file_that_cannot_run_here_says_why(programs: Programs, content: str, says: str) -> None:
    program = programs.folder / "tool"
    program.write_text(content, encoding="utf-8")
    program.chmod(0o755)
    found = error(programs.run(programs.command("./tool")))
    assert found.code == 9001
    assert says in found.message


# --- Streams --------------------------------------------------------------------------------------


def test_fault_17_a_program_may_close_stdout_and_answer_by_its_result_file(programs: Programs) -> None:
    spec = programs.bash('exec >&-; echo \'{"output": 5}\' > "$NODELING_RESULT_FILE"')
    assert output(programs.run(spec)) == 5


def test_fault_18_a_program_that_closes_stdin_early_is_judged_by_its_answer(programs: Programs) -> None:
    assert output(programs.run(programs.bash("exec <&-; echo 1"), "x" * 3_000_000)) == 1


def test_fault_19_a_program_that_never_reads_a_large_stdin_does_not_hang(programs: Programs) -> None:
    assert output(programs.run(programs.bash("echo 1"), "x" * 1_000_000)) == 1


def test_a_megabyte_goes_in_and_out_at_once(programs: Programs) -> None:
    text = "x" * 3_000_000
    assert output(programs.run(programs.command("cat", stdin="json"), text)) == text


def test_fault_20_a_flood_of_stderr_is_drained_and_its_tail_kept(programs: Programs) -> None:
    spec = programs.python(
        "import sys\nfor n in range(20000): print('line', n, 'x' * 50, file=sys.stderr)\nprint(1)"
    )
    outcome = programs.run(spec)
    assert output(outcome) == 1
    dropped = outcome.metrics["dropped"]
    assert dropped > 0
    assert len(programs.log) == 20000 - dropped + 1
    assert programs.log[-1].startswith(f"{int(dropped)} lines of stderr were dropped")


def test_fault_20_the_error_after_a_megabyte_of_stderr_holds_the_end_of_it(programs: Programs) -> None:
    spec = programs.python("import sys\nsys.stderr.write('y' * 1000000 + '\\nlast words\\n')\nsys.exit(1)")
    found = error(programs.run(spec))
    assert found.message == "probe ended with exit code 1: last words"
    assert len(found.details["stderr"]) <= 65536


def test_a_flood_of_stdout_is_killed_at_its_limit(programs: Programs) -> None:
    found = error(programs.run(programs.command("yes", output="text")))
    assert found.code == 4005
    assert "16 MiB" in found.message


def test_a_secret_does_not_reach_the_log_or_the_error(programs: Programs) -> None:
    spec = programs.bash('echo "key is hunter22" >&2; exit 1')
    found = error(programs.run(spec, secrets={"KEY": "hunter22"}))
    assert "hunter22" not in json.dumps(found.to_json()) + json.dumps(programs.events)
    assert programs.log == ["key is [redacted]"]


def test_stderr_is_passed_on_while_the_program_runs(programs: Programs) -> None:
    async def work(dispatcher: ExecDispatcher) -> None:
        task = asyncio.ensure_future(
            dispatcher.call(programs.call(programs.bash("echo started >&2; exec sleep 1000")))
        )
        await until(lambda: programs.log == ["started"])
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with_dispatcher(work)


def test_a_call_without_a_place_for_its_folders_does_not_start(programs: Programs) -> None:
    found = error(programs.run(programs.command("true"), work_root=lambda: str(programs.work / "gone")))
    assert (found.code, found.started) == (9001, False)


# --- Ends -----------------------------------------------------------------------------------------


def test_fault_16_a_grandchild_that_holds_stdout_delays_the_end_by_a_second_at_most(
    programs: Programs,
) -> None:
    started = time.monotonic()
    assert output(programs.run(programs.bash("sleep 1000 & echo $!"))) > 0
    assert 0.9 < time.monotonic() - started < 5


def test_a_background_process_left_by_a_program_that_ended_is_killed(programs: Programs) -> None:
    spec = programs.bash(
        "sleep 1000 > /dev/null 2>&1 & echo $!; setsid sleep 1000 > /dev/null 2>&1 & "
        'until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; echo $!',
        output="jsonl",
    )
    started = time.monotonic()
    pids = output(programs.run(spec))
    assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)
    assert time.monotonic() - started < 5


def test_what_a_call_used_is_measured(programs: Programs) -> None:
    # Only a peak above this process's own can be told from it, and this process may have grown large.
    size_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 200
    spec = programs.python(
        f"import os, time\nx = bytearray({size_mb} << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\n"
        "while time.process_time() < 0.1: pass\nprint(os.getpid())"
    )
    outcome = programs.run(spec)
    assert outcome.worker == f"pid {output(outcome)}"
    assert outcome.cpu_ms is not None
    assert outcome.cpu_ms >= 90
    assert outcome.peak_rss_mb is not None
    assert size_mb * 0.95 < outcome.peak_rss_mb < size_mb + 300


def test_a_program_smaller_than_the_host_is_not_charged_with_the_hosts_memory(programs: Programs) -> None:
    filler = bytearray(200_000_000)
    filler[::4096] = b"x" * len(filler[::4096])
    peak = programs.run(programs.bash("echo 1")).peak_rss_mb
    assert peak is None or peak < 50


def test_fifty_calls_at_once_leave_no_descriptor_and_no_zombie(programs: Programs) -> None:
    spec = programs.bash('read -r line; echo "$line"')

    async def work(dispatcher: ExecDispatcher) -> None:
        await dispatcher.call(programs.call(spec))
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(2):
            outcomes = await asyncio.gather(*(dispatcher.call(programs.call(spec, n)) for n in range(50)))
            assert [output(outcome)["input"] for outcome in outcomes] == list(range(50))
        assert len(os.listdir("/proc/self/fd")) == before

    with_dispatcher(work)
    assert list(zombies()) == []
    assert programs.left_behind() == []


def test_closing_kills_what_runs_and_refuses_what_comes_after(programs: Programs) -> None:
    async def work(dispatcher: ExecDispatcher) -> None:
        spec: NodeSpec = programs.command("sleep", "1000")
        task = asyncio.ensure_future(dispatcher.call(programs.call(spec)))
        await until(programs.left_behind)
        await dispatcher.close()
        found = error(await task)
        assert (found.code, found.started) == (9009, True)
        assert error(await dispatcher.call(programs.call(spec))).started is False

    with_dispatcher(work)
