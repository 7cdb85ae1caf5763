"""Any unmodified program as a node: one process for each call, killed for real.

The program gets its arguments, stdin and an environment of its own, and answers by its stdout or
its result file and its exit code. Invariant: when a call has ended, by whatever way, the program,
what it started and its private folders are gone, and no descriptor of it is left here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any

from nodeling_runtime.dispatch.base import CallError, NodeCall, Outcome
from nodeling_runtime.dispatch.caps import OVER
from nodeling_runtime.dispatch.exec_blobs import hand_over, with_blobs
from nodeling_runtime.dispatch.exec_folders import CallFolders, ResultFileFault
from nodeling_runtime.dispatch.exec_log import LineLog, Redactor
from nodeling_runtime.dispatch.exec_pipes import STDOUT_LIMIT, Collector, Pipes
from nodeling_runtime.dispatch.exec_request import environment, stdin_of
from nodeling_runtime.dispatch.exec_result import Ended, Refused, error_of, outcome_of
from nodeling_runtime.dispatch.exec_spawn import find_program, spawn_refusal
from nodeling_runtime.dispatch.exec_sweep import TreeKill, tree_usage
from nodeling_runtime.dispatch.process import ChildProcess, Exit
from nodeling_runtime.dispatch.worker.warden_look import size_mb
from nodeling_runtime.toolchains.command import CommandFault, compile_command

DRAIN_SECONDS = 1.0  # how long a grandchild may keep stdout or stderr open after the program's end
FIRST_SAMPLE_SECONDS = 0.05
SAMPLE_SECONDS = 0.25


class ExecDispatcher:
    """Runs each call in a process of its own."""

    def __init__(self, failures: Mapping[Any, CallError] | None = None) -> None:
        self._failures = failures or {}  # the errors of nodes that could not be built
        self._running: set[_Execution] = set()
        self._is_closed = False

    async def call(self, call: NodeCall) -> Outcome:
        """Run one attempt; cancelling the awaiting task kills the program and all it started."""
        if self._is_closed:
            return Outcome(error=error_of(9009, "the runtime is shutting down", started=False))
        try:
            folders = CallFolders(call.work_root())
        except OSError as error:
            message = f"{call.spec.name}: no private folder could be made: {error}; is the disk full?"
            return Outcome(error=error_of(9001, message, started=False))
        try:
            execution = _Execution(call, folders, self._failures)
            self._running.add(execution)
            try:
                return await execution.run()
            finally:
                self._running.discard(execution)
        except Refused as refused:
            return Outcome(error=refused.error)
        finally:
            folders.remove()

    async def close(self) -> None:
        """Kill what still runs; its calls end as `host_shutdown`."""
        self._is_closed = True
        await asyncio.gather(*(execution.shut_down() for execution in list(self._running)))


class _Execution:
    """One program from its start to its outcome."""

    def __init__(self, call: NodeCall, folders: CallFolders, failures: Mapping[Any, CallError]) -> None:
        self._failures = failures
        self._call = call
        self._folders = folders
        self._spec = call.spec
        self._output: str = call.spec.manifest.runtime.output
        self._caps: Mapping[str, float] = call.spec.manifest.limits
        self._measured = 0.0
        self._redact = Redactor(call.secrets)
        self._mark = secrets.token_hex(12)
        self._stderr = LineLog(call.emit, self._redact)
        self._stdout = Collector(self._overflowed)
        self._stdout_log = LineLog(call.emit, self._redact, "stdout")
        self._stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._child: ChildProcess | None = None
        self._sampler: asyncio.TimerHandle

    async def run(self) -> Outcome:
        hand_over(self._call, self._folders.blobs)
        argv, more = self._command()
        env = {**more, **environment(self._call, self._folders, self._mark)}
        pipes = _open_pipes(stdin_of(self._call, self._folders))
        try:
            self._child = child = self._spawn(argv, env, pipes)
            return await self._follow(child, pipes)
        finally:
            pipes.close()

    async def shut_down(self) -> None:
        """End the program because the runtime ends."""
        self._stop("shutdown")
        if self._child is not None:
            await TreeKill(self._child, self._mark).settle()

    async def _follow(self, child: ChildProcess, pipes: Pipes) -> Outcome:
        self._sampler = asyncio.get_running_loop().call_later(FIRST_SAMPLE_SECONDS, self._sample)
        try:
            takes = self._stdout_log.feed if self._output == "none" else self._stdout.feed
            pipes.start(takes, self._stderr.feed)
            await _first(child.exited, self._stopped)
            await _first(pipes.at_end, self._stopped, timeout=DRAIN_SECONDS)
        finally:
            self._sampler.cancel()
            await _to_its_end(TreeKill(child, self._mark).settle())
        self._stderr.finish()
        self._stdout_log.finish()
        return self._outcome(child)

    def _outcome(self, child: ChildProcess) -> Outcome:
        exit = child.reap() if child.exited.done() else Exit()
        ended = self._ended(exit)
        if self._stopped.done():
            outcome = Outcome(error=self._stop_error(ended))
        else:
            outcome = with_blobs(outcome_of(ended), self._folders.blobs, self._call.blobs)
        outcome.worker = f"pid {child.pid}"
        outcome.cpu_ms, outcome.peak_rss_mb = exit.cpu_ms, exit.peak_rss_mb
        if dropped := self._stderr.dropped + self._stdout_log.dropped:
            outcome.metrics = {**outcome.metrics, "dropped": float(dropped)}
        return outcome

    def _ended(self, exit: Exit) -> Ended:
        result, fault = None, None
        try:
            result = self._folders.read_result()
        except ResultFileFault as error:
            fault = f"cannot be judged: {error}"
        return Ended(
            name=self._spec.name,
            exit=exit,
            output=self._output,
            stdout=self._stdout.data(),
            stderr=self._stderr.tail(),
            result=result,
            result_fault=fault,
        )

    def _stop_error(self, ended: Ended) -> CallError:
        reason = self._stopped.result()
        if reason in OVER:
            code, what, details = OVER[reason].passed(self._caps[reason], self._measured)
            return ended.fail(code, what, **details).error
        if reason == "overflow":
            limit = STDOUT_LIMIT // (1024 * 1024)
            return ended.fail(4005, f"wrote more than {limit} MiB to stdout and was killed").error
        return ended.fail(9009, "was killed because the runtime is shutting down").error

    def _overflowed(self) -> None:
        self._stop("overflow")

    def _stop(self, reason: str) -> None:
        if not self._stopped.done():
            self._stopped.set_result(reason)

    def _sample(self) -> None:
        child = self._child
        if child is not None and not child.exited.done():
            child.sample()
            if self._caps:
                self._hold(child)
        self._sampler = asyncio.get_running_loop().call_later(SAMPLE_SECONDS, self._sample)

    def _hold(self, child: ChildProcess) -> None:
        memory, processes = tree_usage(child.pid)
        used = {"memory_mb": memory, "processes": processes, "disk_mb": 0.0}
        if "disk_mb" in self._caps:
            used["disk_mb"] = size_mb(self._folders.root)
        for name in OVER:
            if name in self._caps and used[name] > self._caps[name]:
                self._measured = used[name]
                self._stop(name)
                return

    def _command(self) -> tuple[list[str], Mapping[str, str]]:
        from nodeling_runtime.toolchains.launching import exec_command

        items, more = exec_command(self._spec, self._failures)
        try:
            return compile_command(items).argv(self._call.inputs), more
        except CommandFault as fault:
            message = f"{self._spec.name}: {fault}"
            raise Refused.of(fault.code, message, details={"pointer": fault.pointer}) from fault

    def _spawn(self, argv: list[str], env: dict[str, str], pipes: Pipes) -> ChildProcess:
        folder = str(self._spec.folder)
        program = find_program(argv[0], self._spec.folder, env["PATH"], self._spec.name)
        stdin, stdout, stderr = pipes.child
        try:
            child = ChildProcess(
                argv, executable=program, cwd=folder, env=env, stdin=stdin, stdout=stdout, stderr=stderr
            )
        except (OSError, ValueError) as error:
            raise spawn_refusal(error, self._spec.name, program) from error
        if "disk_mb" in self._caps:
            child.limit_files(int(self._caps["disk_mb"] * 1024 * 1024))
        return child


def _open_pipes(stdin: bytes | None) -> Pipes:
    try:
        return Pipes(stdin)
    except OSError as error:
        raise Refused.of(9001, f"no pipes to a new process: {error.strerror}; try again later") from error


async def _first(*futures: asyncio.Future[Any], timeout: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await bounded work to its end, and only then let a cancellation through."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
