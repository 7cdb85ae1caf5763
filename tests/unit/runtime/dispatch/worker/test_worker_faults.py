"""The fault catalogue of children and wires, by number, against the worker dispatcher."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from exec_calls import is_alive, until
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from worker_calls import PATIENT, Nodes, below, code, given, tree_of, with_workers

ECHO = """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"])
    elif f["method"] == "node/invoke":
        value = f["params"]["input"]
        {body}
        answer(f["id"], {{"output": value}})
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


@pytest.fixture(autouse=True)
def leave_nothing() -> object:
    yield
    close_all()


def raw(body: str = "pass") -> str:
    return ECHO.format(body=body)


def test_fault_1_a_missing_program_is_named(nodes: Nodes) -> None:
    (outcome,) = nodes.run(nodes.command("./absent"), {})
    assert code(outcome) == 9001
    assert outcome.error is not None and "absent" in outcome.error.message
    assert outcome.error.retryable is False


def test_fault_1_a_program_that_is_none_is_named(nodes: Nodes) -> None:
    spec = nodes.command("./garbage")
    assert spec.folder is not None
    (spec.folder / "garbage").write_bytes(b"\x7fELF nonsense")
    (spec.folder / "garbage").chmod(0o755)
    (outcome,) = nodes.run(spec, {})
    assert code(outcome) == 9001
    assert outcome.error is not None and "garbage" in outcome.error.message


def test_fault_2_a_crash_before_the_handshake_quotes_stderr(nodes: Nodes) -> None:
    (outcome,) = nodes.run(nodes.raw("sys.exit('no licence')"), {})
    assert code(outcome) == 9002
    assert outcome.error is not None
    assert outcome.error.details["stage"] == "handshake"
    assert outcome.error.details["exit_code"] == 1
    assert "no licence" in outcome.error.message


def test_fault_3_a_crash_fails_every_call_in_that_worker_and_the_next_gets_a_fresh_one(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"], many=4)
    elif f["params"]["input"] == "crash": os.write(2, b"Aua!"); os.kill(os.getpid(), signal.SIGSEGV)
    elif f["params"]["input"] == "pid": answer(f["id"], {"output": os.getpid()})
"""
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        first = given(await dispatcher.call(nodes.call(spec, "pid")))
        silent = [asyncio.ensure_future(dispatcher.call(nodes.call(spec, "silent"))) for _ in range(2)]
        await asyncio.sleep(0)
        crashed = [await dispatcher.call(nodes.call(spec, "crash")), *[await one for one in silent]]
        assert [code(outcome) for outcome in crashed] == [9003] * 3
        assert crashed[1].error is not None and crashed[1].error.details["signal"] == "SIGSEGV"
        assert crashed[1].error.details["stderr"] == "Aua!"
        assert given(await dispatcher.call(nodes.call(spec, "pid"))) != first

    with_workers(work)


def test_fault_4_an_exit_without_an_answer_is_no_success(nodes: Nodes) -> None:
    (outcome,) = nodes.run(nodes.raw(raw("sys.exit(0)")), 1)
    assert code(outcome) == 9003
    assert outcome.error is not None and "without an answer" in outcome.error.message


def test_fault_5_a_node_that_only_crashes_is_quarantined(nodes: Nodes) -> None:
    bounds = replace(PATIENT, crashes=5)
    outcomes = nodes.run(nodes.raw(raw("os._exit(9)")), *range(7), bounds=bounds)
    assert [code(outcome) for outcome in outcomes] == [9003] * 5 + [9001] * 2
    assert outcomes[-1].error is not None
    assert outcomes[-1].error.details["quarantined"] is True
    assert "exit code 9" in outcomes[-1].error.message


def test_fault_6_and_7_lines_that_are_no_frames_are_logs_on_stdio(nodes: Nodes) -> None:
    spec = nodes.raw("print('a banner', flush=True)" + raw("print('chatter', flush=True)"))
    assert given(nodes.run(spec, 5)[0]) == 5
    assert nodes.log == ["a banner", "chatter"]


def test_fault_7_a_line_that_is_no_frame_on_the_private_channel_is_fatal(nodes: Nodes) -> None:
    spec = nodes.raw(
        "sys.stdin = os.fdopen(3); sys.stdout = os.fdopen(4, 'w')" + raw("print('chatter', flush=True)"),
        runtime={"channel": "fd"},
    )
    outcome = nodes.run(spec, 5)[0]
    assert code(outcome) == 9004
    assert outcome.error is not None and "chatter" in outcome.error.message


def test_fault_8_an_endless_line_kills_within_bounded_memory(nodes: Nodes) -> None:
    spec = nodes.raw(raw("[os.write(1, b'x' * 1000000) for _ in range(200)]"))
    assert code(nodes.run(spec, 5)[0]) == 9004


def test_fault_9_an_answer_without_its_line_end_is_a_crash(nodes: Nodes) -> None:
    assert code(nodes.run(nodes.raw(raw("half(f['id'], 1); os._exit(0)")), 5)[0]) == 9003


def test_fault_10_crlf_and_blank_lines_are_tolerated(nodes: Nodes) -> None:
    assert (
        given(nodes.run(nodes.raw(raw("print('\\r\\n'); half(f['id'], 7, '\\r\\n'); continue")), 5)[0]) == 7
    )


def test_fault_11_silence_instead_of_a_handshake_is_killed(nodes: Nodes) -> None:
    bounds = replace(PATIENT, startup=0.3)
    outcome = nodes.run(
        nodes.raw("sys.stderr.write('thinking'); sys.stderr.flush(); time.sleep(1000)"), 1, bounds=bounds
    )[0]
    assert code(outcome) == 9002
    assert outcome.error is not None and "thinking" in outcome.error.message


STUCK = {
    "spin": (0, "while True: pass"),
    "fault_12_ignores_term": (0, "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"),
    "fault_13_stopped": (0, "os.kill(os.getpid(), signal.SIGSTOP)"),
    "fault_14_child": (1, "subprocess.run(['sleep', '1000'])"),
    "fault_15_setsid": (1, "subprocess.run(['setsid', '-f', 'sleep', '1000']); time.sleep(1000)"),
    "fault_15_double_fork": (
        1,
        "os.fork() or (os.setsid(), os.fork() and os._exit(0), time.sleep(1000)); time.sleep(1000)",
    ),
    "fault_15_no_environment": (
        1,
        "subprocess.Popen(['sleep', '1000'], env={}, start_new_session=True); time.sleep(1000)",
    ),
}


@pytest.mark.parametrize("name", STUCK)
def test_a_cancelled_call_takes_its_whole_tree_along_while_a_sibling_serves_on(
    nodes: Nodes, name: str
) -> None:
    descendants, stuck = STUCK[name]
    spec = nodes.python(
        "import os, signal, subprocess, time\n"
        "def run(ctx, inputs):\n"
        "    if inputs == 'pid': return os.getpid()\n"
        "    open(inputs, 'w').write(str(os.getpid()))\n"
        f"    {stuck}\n"
    )
    noted = nodes.root / "pid"

    async def work(dispatcher: WorkerDispatcher) -> None:
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, str(noted))))
        pid = int(await until(lambda: noted.exists() and noted.read_text()))
        sibling = given(await dispatcher.call(nodes.call(spec, "pid")))
        await until(lambda: len(tree_of(pid)) > descendants)
        tree = tree_of(pid)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 2
        assert [one for one in tree if is_alive(one)] == []
        assert given(await dispatcher.call(nodes.call(spec, "pid"))) == sibling

    with_workers(work)


def test_fault_16_a_grandchild_that_holds_the_channel_does_not_hold_up_the_news(nodes: Nodes) -> None:
    spec = nodes.raw(raw("subprocess.Popen(['sleep', '1000']); os._exit(4)"))
    started = time.monotonic()
    outcome = nodes.run(spec, 1)[0]
    assert code(outcome) == 9003
    assert time.monotonic() - started < 3


def test_fault_17_a_node_that_closes_its_channel_and_lives_is_killed(nodes: Nodes) -> None:
    outcome = nodes.run(nodes.raw(raw("os.close(1); time.sleep(1000)")), 1)[0]
    assert code(outcome) == 9004


def test_fault_18_a_node_that_closes_its_input_fails_its_calls_only(nodes: Nodes) -> None:
    spec = nodes.raw(raw("os.close(0); answer(f['id'], {'output': 1}); time.sleep(0.2); os._exit(0)"))
    first, second = nodes.run(spec, 1, "x" * 200_000)
    assert given(first) == 1
    assert code(second) in (9003, 9004)


def test_fault_19_a_node_that_never_reads_is_killed_at_the_write_deadline(nodes: Nodes) -> None:
    spec = nodes.raw("f = json.loads(os.read(0, 65536)); greet(f['id']); time.sleep(1000)")
    outcome = nodes.run(spec, "x" * 4_000_000, bounds=replace(PATIENT, write_timeout=0.2))[0]
    assert code(outcome) == 9010


def test_fault_20_a_flood_on_stderr_holds_up_nobody_and_stays_bounded(nodes: Nodes) -> None:
    spec = nodes.raw(
        raw("sys.stderr.write('z' * 99 + '\\n'); [sys.stderr.write('y' * 99 + '\\n') for _ in range(30000)]")
    )
    assert given(nodes.run(spec, 1)[0]) == 1
    assert 1000 < len(nodes.log) < 30000


def test_fault_21_and_22_a_second_answer_and_an_unknown_id_are_dropped(nodes: Nodes) -> None:
    spec = nodes.raw(raw("answer(f['id'], {'output': 1}); answer(99999, {'output': 2})"))
    assert [given(outcome) for outcome in nodes.run(spec, 5, 6)] == [1, 1]


def test_fault_23_an_answer_after_the_cancel_reaches_nobody(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
late = None
for f in frames():
    if f["method"] == "node/hello": greet(f["id"], ["cancel"])
    elif f["method"] == "node/cancel": answer(late, {"output": "late"})
    elif f["params"]["input"] == "hang": late = f["id"]; open("hangs", "w").close()
    else: answer(f["id"], {"output": os.getpid()})
"""
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        pid = given(await dispatcher.call(nodes.call(spec, "pid")))
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, "hang")))
        assert spec.folder is not None
        await until((spec.folder / "hangs").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert given(await dispatcher.call(nodes.call(spec, "pid"))) == pid  # it obeyed, so it is kept

    with_workers(work)


def test_fault_25_a_result_of_the_wrong_shape_is_refused(nodes: Nodes) -> None:
    outcome = nodes.run(nodes.raw(raw("answer(f['id'], [1]); continue")), 5)[0]
    assert code(outcome) == 9004


def test_fault_28_a_node_of_another_protocol_says_what_it_speaks(nodes: Nodes) -> None:
    outcome = nodes.run(
        nodes.raw("for f in frames(): refuse(f['id'], 4100, 'I speak 7', supported=[7])"),
        1,
    )[0]
    assert code(outcome) == 4100
    assert outcome.error is not None and outcome.error.details["supported"] == [7]


def test_a_node_without_a_handshake_is_served_one_call_at_a_time(nodes: Nodes) -> None:
    spec = nodes.raw(
        """
for f in frames():
    if f["method"] != "node/invoke": refuse(f["id"], -32601, "?")
    else: answer(f["id"], {"output": f["params"]["input"]})
"""
    )
    assert [given(outcome) for outcome in nodes.run(spec, 1, 2)] == [1, 2]


def test_fault_30_a_tree_over_its_memory_limit_is_killed_and_its_peak_named(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os\ndef run(ctx, inputs):\n    os.fork()\n    x = []\n"
        "    while True: x.append(b'x' * 1000000)\n",
        limits={"memory_mb": 100},
    )
    outcome = nodes.run(spec, 1)[0]
    assert code(outcome) == 9008
    assert outcome.error is not None
    assert "100 MiB" in outcome.error.message and "peak" in outcome.error.message
    assert outcome.error.details["peak_rss_mb"] > 100


def test_fault_31_a_process_that_forks_without_end_is_killed_with_all_of_them(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os, time\ndef run(ctx, inputs):\n    if not inputs: return os.getpid()\n"
        "    for n in range(7):\n        if os.fork() == 0 and n % 2: os.setsid()\n    time.sleep(1000)\n",
        limits={"processes": 20},
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        outcome = await dispatcher.call(nodes.call(spec, 1))
        assert code(outcome) == 9003
        assert outcome.error is not None and "20 are allowed" in outcome.error.message
        assert outcome.error.details["limit"] == "processes"
        assert outcome.error.details["found"] > 20
        assert given(await dispatcher.call(nodes.call(spec, 0))) > 0
        hub = dispatcher._hub
        assert hub is not None and hub.warden.pid is not None
        warden = hub.warden.pid
        await until(lambda: len(below(warden)) == 1)

    with_workers(work)


def test_fault_32_a_process_that_fills_its_folders_is_killed_and_they_are_removed(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os, tempfile\ndef run(ctx, inputs):\n    if not inputs: return os.environ['TMPDIR']\n"
        "    while True:\n        with tempfile.NamedTemporaryFile(delete=False) as file:\n"
        "            file.write(b'x' * 1_000_000)\n",
        limits={"disk_mb": 8},
    )
    folder, full = nodes.run(spec, 0, 1)
    assert code(full) == 9003
    assert full.error is not None and "8 are allowed" in full.error.message
    assert full.error.details["limit"] == "disk_mb"
    assert not os.path.exists(given(folder))


def test_fault_32_no_file_grows_beyond_the_limit_wherever_it_is(nodes: Nodes) -> None:
    spec = nodes.python(
        "def run(ctx, inputs):\n    with open(inputs, 'wb') as file:\n"
        "        for _ in range(20): file.write(b'x' * 1_000_000)\n",
        limits={"disk_mb": 8},
    )
    big = nodes.root / "big"
    outcome = nodes.run(spec, str(big))[0]
    assert code(outcome) == 4000
    assert outcome.error is not None and "File too large" in outcome.error.message
    assert big.stat().st_size <= 8 * 1024 * 1024


def test_steps_with_lower_limits_have_workers_of_their_own(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os\ndef run(ctx, inputs):\n    x = b'x' * inputs\n"
        "    while len(x) > 100_000_000: pass\n    return os.getpid()\n",
        limits={"memory_mb": 1000},
    )
    low = spec.limited({"memory_mb": 90})
    assert spec.limited({"memory_mb": 90}) is low

    async def work(dispatcher: WorkerDispatcher) -> None:
        own = given(await dispatcher.call(nodes.call(spec, 1)))
        other = given(await dispatcher.call(nodes.call(low, 1)))
        assert own != other
        killed = await dispatcher.call(nodes.call(low, 150_000_000))
        assert code(killed) == 9008
        assert killed.error is not None and killed.error.details["memory_mb"] == 90
        assert given(await dispatcher.call(nodes.call(spec, 1))) == own

    with_workers(work)


def test_fault_33_a_worker_sees_only_what_its_manifest_names(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "secret")
    monkeypatch.setenv("WANTED", "yes")
    spec = nodes.python(
        "import os\ndef run(ctx, inputs):\n"
        "    return [dict(os.environ), sorted(map(int, os.listdir('/proc/self/fd')))]\n",
        env=["WANTED"],
    )
    env, fds = given(nodes.run(spec, 1)[0])
    assert "CANARY" not in env
    assert env["WANTED"] == "yes"
    assert set(env) <= set(
        "PATH HOME LANG LC_ALL TZ TMPDIR NO_COLOR WANTED NODELING NODELING_WORKER".split()
        + ["PYTHONUTF8", "PYTHONUNBUFFERED", "PYTHONSAFEPATH"]
    )
    assert len(fds) <= 6


def test_fault_35_when_the_warden_dies_its_workers_die_and_the_next_call_is_served(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os, time\ndef run(ctx, inputs):\n"
        "    if inputs: open(inputs, 'w').write(str(os.getpid())); time.sleep(1000)\n    return os.getpid()\n"
    )
    noted = nodes.root / "pid"

    async def work(dispatcher: WorkerDispatcher) -> None:
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, str(noted))))
        pid = int(await until(lambda: noted.exists() and noted.read_text()))
        assert dispatcher._hub is not None and dispatcher._hub.warden.pid is not None
        os.kill(dispatcher._hub.warden.pid, signal.SIGKILL)
        outcome = await task
        assert code(outcome) == 9003
        assert outcome.error is not None and "guard process" in outcome.error.message
        await until(lambda: not is_alive(pid), 2)
        assert given(await dispatcher.call(nodes.call(spec, ""))) != pid

    with_workers(work)
