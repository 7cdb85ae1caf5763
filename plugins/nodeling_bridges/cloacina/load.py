"""From tasks and their dependencies to a native document. Pure.

A task's output is its whole context and when it ended; what a task sees is made of the outputs of those
that it names as dependencies, and of nothing else. Dependencies have to end, not to succeed: a trigger
rule says more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodeling.errors import ConfigError, Fault, nearest
from nodeling_bridges.cloacina.retry import RetryPolicy
from nodeling_bridges.cloacina.rules import ALWAYS, tasks_of

Step = dict[str, Any]
ENDED = ["success", "failure", "skipped"]


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What is known of a task without its code."""

    id: str
    dependencies: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    rule: Mapping[str, Any] = field(default_factory=lambda: dict(ALWAYS))
    description: str = ""


def document_of(
    name: str,
    tasks: Sequence[TaskSpec],
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    max_concurrent: int | None = None,
    task_timeout: str | None = None,
    timeout: str | None = None,
) -> dict[str, Any]:
    """The native document of a workflow whose nodes bear its tasks' ids.

    Raises:
        ConfigError: A task is there twice, or names one that is not; all of it is listed.
    """
    known = {task.id: task for task in tasks}
    faults = [*_faults(name, tasks, known), *_circles(name, tasks, known)]
    if faults:
        said = "; ".join(fault.message for fault in faults)
        raise ConfigError(f"workflow {name!r}: {said}", code="cloacina.workflow", faults=faults)
    steps = [_step(task, known, task_timeout) for task in tasks]
    document: dict[str, Any] = {"name": name, "description": description, "steps": steps}
    if tags:
        document["metadata"] = dict(tags)
    settings = {"max_concurrent": max_concurrent, "timeout": timeout}
    if any(value is not None for value in settings.values()):
        document["settings"] = {key: value for key, value in settings.items() if value is not None}
    contexts = ", ".join(f"steps[{json.dumps(task.id)}]?.output ?? null" for task in leaves(tasks))
    document["output"] = f"${{cloacina_merged([{contexts}])}}"
    return document


def leaves(tasks: Sequence[TaskSpec]) -> list[TaskSpec]:
    """The tasks that no other one waits for."""
    waited = {name for task in tasks for name in task.dependencies}
    return [task for task in tasks if task.id not in waited]


def _faults(name: str, tasks: Sequence[TaskSpec], known: Mapping[str, TaskSpec]) -> Sequence[Fault]:
    found: list[Fault] = []
    seen: set[str] = set()
    if not tasks:
        found.append(Fault("cloacina.workflow", "it has no task", file=name))
    for task in tasks:
        if task.id in seen:
            found.append(Fault("cloacina.workflow", f"two tasks are called {task.id!r}", file=name))
        seen.add(task.id)
        for wanted in (*task.dependencies, *tasks_of(dict(task.rule))):
            if wanted not in known:
                near = nearest(wanted, known)
                hint = f"; did you mean {near!r}?" if near else ""
                said = f"task {task.id!r} names {wanted!r}, which is no task here{hint}"
                found.append(Fault("cloacina.workflow", said, file=name))
    return found


def _circles(name: str, tasks: Sequence[TaskSpec], known: Mapping[str, TaskSpec]) -> Sequence[Fault]:
    """Tasks that wait for one another, each circle once, in the order in which they would run."""
    found: list[Fault] = []
    done: set[str] = set()
    for root in tasks:
        trail: list[str] = []
        todo = [(root.id, 0)]
        while todo:
            here, at = todo.pop()
            if at == 0:
                if here in done or here not in known:
                    continue
                if here in trail:
                    walk = " → ".join([here, *reversed(trail[trail.index(here) :])])
                    found.append(
                        Fault("cloacina.workflow", f"these tasks wait for one another: {walk}", file=name)
                    )
                    continue
                trail.append(here)
            waited = dict.fromkeys([*known[here].dependencies, *tasks_of(dict(known[here].rule))])
            if at < len(waited):
                todo.extend([(here, at + 1), (list(waited)[at], 0)])
            else:
                done.add(trail.pop())
    return found


def _step(task: TaskSpec, known: Mapping[str, TaskSpec], task_timeout: str | None) -> Step:
    before = dict.fromkeys([*task.dependencies, *tasks_of(dict(task.rule))])
    step: Step = {
        "name": task.id,
        "node": task.id,
        "needs": [{"step": one, "on": ENDED} for one in before],
    }
    if task.description:
        step["description"] = task.description
    outputs = [f"steps[{json.dumps(one)}]?.output ?? null" for one in task.dependencies]
    given = f"cloacina_merged([{', '.join(outputs)}])" if outputs else "ctx.request.body"
    step["inputs"] = {"context": f"${{{given}}}"}
    if task.rule["type"] != "Always":
        states = ", ".join(f"{json.dumps(one)}: steps[{json.dumps(one)}].status" for one in before)
        rule = json.dumps(task.rule, ensure_ascii=False)
        step["if"] = f"${{cloacina_rule({rule}, {{{states}}}, {given})}}"
    retry = task.retry.native()
    if retry is not None:
        step["retry"] = retry
    if task_timeout is not None:
        step["timeout"] = task_timeout
    return step
