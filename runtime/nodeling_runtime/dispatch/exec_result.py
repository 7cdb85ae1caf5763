"""From how a program ended to what the call gives: pure, so that every row of the table is a test.

Invariant: an output is reported only for exit code 0 and bytes that passed the value profile; every
other ending is an error that quotes what the program said last.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.dispatch.process import Exit
from nodeling_runtime.values import NULL, InvalidValue, Value

EXCERPT = 200
_EXIT_CODES = {
    os.EX_TEMPFAIL: (5000, "asked to be tried again"),
    os.EX_DATAERR: (4001, "refused its input"),
    os.EX_CONFIG: (4002, "refused its configuration"),
}
_HOST_CODES = range(9000, 10000)


class Refused(Exception):
    """A call that ends in an error before there is anything to judge."""

    def __init__(self, error: CallError) -> None:
        super().__init__(error.message)
        self.error = error

    @classmethod
    def of(
        cls,
        code: int | str,
        message: str,
        *,
        retryable: bool | None = None,
        details: dict[str, Any] | None = None,
    ) -> Refused:
        """A refusal of a call whose program was never started."""
        return cls(error_of(code, message, retryable=retryable, started=False, details=details))


def error_of(
    code: int | str,
    message: str,
    *,
    retryable: bool | None = None,
    started: bool = True,
    details: dict[str, Any] | None = None,
) -> CallError:
    """A call's error with the type that belongs to its code."""
    kind = "NodeError"
    if code in _HOST_CODES:
        kind = "ProtocolError" if code == 9004 else "NodeProcessError"
    return CallError(code, message, kind, retryable, started=started, details=details or {})


@dataclass(frozen=True, slots=True)
class Ended:
    """Everything a finished program left behind."""

    name: str
    exit: Exit
    output: str
    stdout: bytes
    stderr: str
    result: bytes | None
    result_fault: str | None = None

    def details(self, **more: Any) -> dict[str, Any]:
        """What an error says beside its message."""
        found: dict[str, Any] = {}
        if self.exit.code is not None:
            found["exit_code"] = self.exit.code
        if self.exit.signal is not None:
            found["signal"] = self.exit.signal_name
        if self.stderr:
            found["stderr"] = self.stderr
        return found | more

    def fail(self, code: int, what: str, *, retryable: bool | None = None, **details: Any) -> Refused:
        """An error that quotes the last line of stderr."""
        last = self.stderr.rpartition("\n")[2].strip()
        message = f"{self.name} {what}: {last[:500]}" if last else f"{self.name} {what}"
        return Refused(error_of(code, message, retryable=retryable, details=self.details(**details)))


def outcome_of(ended: Ended) -> Outcome:
    """The call's outcome: a signal, then the result file, then the exit code, then stdout."""
    try:
        return _judge(ended)
    except Refused as refused:
        return Outcome(error=refused.error)


def _judge(ended: Ended) -> Outcome:
    exit = ended.exit
    if exit.signal is not None:
        raise ended.fail(9003, f"was killed by {exit.signal_name}")
    if exit.code is None:
        raise ended.fail(9003, "ended, and its exit status was taken by another part of this program")
    result = _result(ended)
    if result is not None and "error" in result:
        return Outcome(error=_own_error(ended, result["error"]))
    if exit.code != 0:
        raise _exit_error(ended, exit.code)
    if result is not None:
        return Outcome(Value.of(result["output"]), delta=_delta(ended, result.get("vars")))
    return Outcome(_from_stdout(ended))


def _exit_error(ended: Ended, code: int) -> Refused:
    if code in _EXIT_CODES:
        number, what = _EXIT_CODES[code]
        return ended.fail(number, f"{what} (exit code {code})", retryable=True if number == 5000 else None)
    what = f"ended with exit code {code}"
    if code > 128:  # what a shell says of a command that a signal ended
        try:
            what += f" (128 + {signal.Signals(code - 128).name})"
        except ValueError:
            return ended.fail(4000, what)
    return ended.fail(4000, what)


def _result(ended: Ended) -> dict[str, Any] | None:
    """The object of the result file, holding exactly one of `output` and `error`."""
    if ended.result_fault is not None:
        raise ended.fail(9004, ended.result_fault)
    if ended.result is None:
        return None
    try:
        found = Value.check_bytes(ended.result).shared()
    except InvalidValue as error:
        if ended.exit.code:
            # A program that failed while it wrote: its exit code says more than half a file.
            return None
        raise ended.fail(
            4006, f"wrote a result file that is no value: {error}; {_begins(ended.result)}"
        ) from None
    if not isinstance(found, dict) or ("output" in found) == ("error" in found):
        raise ended.fail(
            9004,
            'wrote a result file that is neither {"output": …} nor {"error": …}; ' + _begins(ended.result),
        )
    return found


def _own_error(ended: Ended, error: Any) -> CallError:
    if not isinstance(error, Mapping):
        error = {"message": error if isinstance(error, str) else json.dumps(error)}
    code = error.get("code", 4000)
    if isinstance(code, bool) or not isinstance(code, int) or code in _HOST_CODES:
        raise ended.fail(
            9004, f"gave the error code {json.dumps(code)}; a node's codes are integers below 9000"
        )
    retryable, wait = error.get("retryable"), error.get("retry_after_ms")
    found = error_of(code, str(error.get("message") or f"{ended.name} gave an error without a message"))
    found.retryable = retryable if isinstance(retryable, bool) else None
    if isinstance(wait, (int, float)) and not isinstance(wait, bool):
        found.retry_after_ms = wait
    details = error.get("details")
    found.details = ended.details(**(details if isinstance(details, dict) else {}))
    if details is not None and not isinstance(details, dict):
        found.details["details"] = details
    return found


def _delta(ended: Ended, written: Any) -> dict[str, bytes | None]:
    if written is None:
        return {}
    if not isinstance(written, dict) or "" in written:
        raise ended.fail(9004, "wrote `vars` that are no object of context keys into its result file")
    return {key: Value.of(value).data for key, value in written.items()}


def _from_stdout(ended: Ended) -> Value:
    if ended.output == "none":
        return NULL
    if ended.output == "text":
        return _text(ended)
    if ended.output == "jsonl":
        return _lines(ended)
    if not ended.stdout.strip():
        raise ended.fail(4006, "ended without an answer: stdout is empty and no result file was written")
    try:
        return Value.check_bytes(ended.stdout)
    except InvalidValue as error:
        raise ended.fail(
            4006, f"wrote no single JSON value to stdout: {error}; {_begins(ended.stdout)}"
        ) from None


def _text(ended: Ended) -> Value:
    try:
        text = ended.stdout.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ended.fail(
            4006,
            f"wrote text that is not UTF-8: byte 0x{ended.stdout[error.start]:02x} at offset {error.start}",
        ) from None
    return Value.of(text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text)


def _lines(ended: Ended) -> Value:
    found = []
    for number, line in enumerate(ended.stdout.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(Value.check_bytes(line).shared())
        except InvalidValue as error:
            raise ended.fail(
                4006, f"wrote no JSON value on line {number} of stdout: {error}; {_begins(line)}"
            ) from None
    try:
        return Value.of(found)
    except InvalidValue as error:
        raise ended.fail(4006, f"wrote lines that make no list: {error}") from None


def _begins(data: bytes) -> str:
    text = data[:EXCERPT].decode("utf-8", "backslashreplace")
    return f"it begins with {json.dumps(text, ensure_ascii=False)}"
