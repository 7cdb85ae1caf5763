"""What a scenario is: a workflow of scripted steps, said in plain values.

A scenario holds everything that decides a run and nothing else, so that the interpreter and the engine
can be given the same one. A scripted leaf does, in its n-th attempt, what the n-th item of its script says
(the last item stands for all later ones): it waits `ms`, then applies `set` and `delete`, and only then
returns its output or fails. An attempt that is cut short has therefore written nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any
Kind = Literal["leaf", "sequence", "parallel", "try"]
Trigger = Literal["body", "on_error", "always"]
Merge = Literal["last", "deep"]


@dataclass(frozen=True, slots=True)
class Const:
    """A condition that is what it is."""

    value: bool

    def expression(self) -> str:
        return "${true}" if self.value else "${false}"


@dataclass(frozen=True, slots=True)
class StatusIs:
    """Whether an ancestor has a status at the moment of asking."""

    step: str
    status: str

    def expression(self) -> str:
        return f"${{steps[{json.dumps(self.step)}].status == {json.dumps(self.status)}}}"


@dataclass(frozen=True, slots=True)
class Raises:
    """A condition that cannot be evaluated: a member of a scalar, or a division by nothing."""

    step: str | None = None

    def expression(self) -> str:
        return f"${{steps[{json.dumps(self.step)}].output.nope.nope}}" if self.step else "${1 / 0 > 1}"


@dataclass(frozen=True, slots=True)
class VarEquals:
    """Whether a context key is there and holds a value."""

    key: str
    value: Json

    def expression(self) -> str:
        return f"${{has(ctx.vars.{self.key}) && ctx.vars.{self.key} == {json.dumps(self.value)}}}"


Condition = Const | StatusIs | Raises | VarEquals


@dataclass(frozen=True, slots=True)
class Attempt:
    """One item of a leaf's script."""

    ms: int
    fail: int | None = None
    retryable: bool | None = None
    output: Json = None
    set: Mapping[str, Json] = field(default_factory=dict)
    delete: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Json]:
        item: dict[str, Json] = {"ms": self.ms}
        optional = {"fail": self.fail, "retryable": self.retryable, "output": self.output}
        item.update({key: value for key, value in optional.items() if value is not None})
        if self.set:
            item["set"] = dict(self.set)
        if self.delete:
            item["delete"] = list(self.delete)
        return item


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of `needs`."""

    step: str
    on: tuple[str, ...] = ("success",)
    if_: Condition | None = None

    def to_document(self) -> Json:
        if self.on == ("success",) and self.if_ is None:
            return self.step
        entry: dict[str, Json] = {"step": self.step, "on": self.on[0] if len(self.on) == 1 else list(self.on)}
        if self.if_ is not None:
            entry["if"] = self.if_.expression()
        return entry


@dataclass(frozen=True, slots=True)
class Retry:
    """The `retry` of a step; None leaves a key out of the document, and its default stands."""

    attempts: int = 1
    delay_ms: int | None = None
    max_delay_ms: int | None = None
    on: tuple[int | str, ...] | None = None

    def to_document(self) -> dict[str, Json]:
        entry: dict[str, Json] = {"attempts": self.attempts}
        if self.delay_ms is not None:
            entry["delay"] = self.delay_ms
        if self.max_delay_ms is not None:
            entry["max_delay"] = self.max_delay_ms
        if self.on is not None:
            entry["on"] = list(self.on)
        return entry


@dataclass(frozen=True, slots=True)
class Execution:
    """The `execution` of a parallel step."""

    error_handling: Literal["fail-fast", "continue-partial"] = "fail-fast"
    max_concurrent: int = 5
    min_success: int = 0

    def to_document(self) -> dict[str, Json]:
        return {
            "error_handling": self.error_handling,
            "max_concurrent": self.max_concurrent,
            "min_success": self.min_success,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a scripted leaf, or a container with children.

    `join` is "all", "any" or the k of `{at_least: k}`. The children are in `body` for a sequence and a
    parallel; a try has its three lists in `body`, `catch` and `finally_`.
    """

    name: str
    kind: Kind = "leaf"
    attempts: tuple[Attempt, ...] = ()
    needs: tuple[Link, ...] | None = None
    join: str | int = "all"
    if_: Condition | None = None
    trigger: Trigger = "body"
    active: bool = True
    stop: bool = False
    on_error_continue: bool = False
    recover: bool = False
    retry: Retry | None = None
    timeout_ms: int | None = None
    deadline_ms: int | None = None
    merge: Merge | None = None
    set_var: str | bool | None = None
    body: tuple[Step, ...] = ()
    catch: tuple[Step, ...] = ()
    finally_: tuple[Step, ...] = ()
    on_failure: Literal["continue", "stop"] = "continue"
    execution: Execution | None = None

    def script(self, attempt: int) -> Attempt:
        """What the attempt of this number (from 1) does."""
        return self.attempts[min(attempt, len(self.attempts)) - 1]

    def children(self) -> tuple[Step, ...]:
        """Every direct child, in declaration order."""
        return self.body + self.catch + self.finally_

    def to_document(self) -> dict[str, Json]:
        """This step as the native document spells it."""
        document: dict[str, Json] = {"name": self.name, **self._node_keys(), **self._link_keys()}
        if self.trigger != "body":
            document["trigger"] = self.trigger
        if self.on_error_continue:
            document["on_error"] = "continue"
        if not self.active:
            document["active"] = False
        flags = {"stop": self.stop, "recover": self.recover}
        document.update({key: True for key, wanted in flags.items() if wanted})
        optional = {
            "retry": self.retry and self.retry.to_document(),
            "timeout": self.timeout_ms,
            "deadline": self.deadline_ms,
            "merge": self.merge,
            "set_var": self.set_var,
        }
        document.update({key: value for key, value in optional.items() if value is not None})
        return document

    def _link_keys(self) -> dict[str, Json]:
        keys: dict[str, Json] = {}
        if self.needs is not None:
            keys["needs"] = [link.to_document() for link in self.needs]
        if self.join != "all":
            keys["join"] = {"at_least": self.join} if isinstance(self.join, int) else self.join
        if self.if_ is not None:
            keys["if"] = self.if_.expression()
        return keys

    def _node_keys(self) -> dict[str, Json]:
        if self.kind == "leaf":
            return {"node": "scripted", "inputs": {"script": [item.to_document() for item in self.attempts]}}
        keys: dict[str, Json] = {"node": self.kind}
        if self.kind == "parallel":
            keys["execution"] = (self.execution or Execution()).to_document()
            keys["nodes"] = [child.to_document() for child in self.body]
            return keys
        if self.on_failure != "continue":
            keys["on_failure"] = self.on_failure
        keys["steps" if self.kind == "sequence" else "try"] = [child.to_document() for child in self.body]
        for key, children in (("catch", self.catch), ("finally", self.finally_)):
            if children:
                keys[key] = [child.to_document() for child in children]
        return keys


@dataclass(frozen=True, slots=True)
class Settings:
    """The `settings` of the document."""

    on_failure: Literal["continue", "stop"] = "continue"
    max_concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole run: the steps, the settings, and what happens to it from outside."""

    steps: tuple[Step, ...]
    settings: Settings = Settings()
    cancel_at_ms: int | None = None
    run_timeout_ms: int | None = None

    def walk(self) -> Iterator[Step]:
        """Every step at every depth, parents first."""
        waiting = list(reversed(self.steps))
        while waiting:
            step = waiting.pop()
            yield step
            waiting.extend(reversed(step.children()))

    def to_document(self) -> dict[str, Json]:
        """The native workflow document; `cancel_at_ms` is not in it, whoever runs the document does that."""
        settings: dict[str, Json] = {}
        if self.settings.on_failure != "continue":
            settings["on_failure"] = self.settings.on_failure
        if self.settings.max_concurrent is not None:
            settings["max_concurrent"] = self.settings.max_concurrent
        if self.run_timeout_ms is not None:
            settings["timeout"] = self.run_timeout_ms
        if self.run_timeout_ms is not None or self.cancel_at_ms is not None:
            settings["cleanup_timeout"] = 3_600_000
        document: dict[str, Json] = {"name": "scenario", "version": "1.0.0"}
        if settings:
            document["settings"] = settings
        document["steps"] = [step.to_document() for step in self.steps]
        return document
