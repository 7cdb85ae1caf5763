"""From XML elements to the model: real exports, and the simplified elements of one well-known description.

Nothing is guessed: what is unknown, missing twice or contradictory is a fault with its line.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodeling.errors import Fault, nearest
from nodeling.formats import Source
from nodeling_bridges.powercenter.elements import Element
from nodeling_bridges.powercenter.left_behind import schedule_of
from nodeling_bridges.powercenter.model import (
    TASK_TYPES,
    Flow,
    Instance,
    Link,
    Pair,
    Repository,
    Task,
    Variable,
    Wait,
)
from nodeling_bridges.powercenter.simplified import SIMPLE_TAGS, seconds_of, simple_instances, simple_links

_RELATIVE = {
    "START_RELATIVE_TO_PREVIOUSTASK": "previous",
    "START_RELATIVE_TO_PARENT_WORKFLOW": "parent",
    "START_RELATIVE_TO_TOPLEVEL_WORKFLOW": "top",
}


class Reader:
    """Reads one export; `faults` says what is wrong with it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self._reusable: dict[str, Task] = {}
        self._inner: dict[str, Task] = {}  # defined inside a workflow
        self._schedulers: dict[str, Element] = {}

    def read(self, root: Element) -> Repository:
        """The repository of an export."""
        holders = [root, *root.every("FOLDER", "REPOSITORY")]
        for holder in holders:
            self._schedulers.update((one.get("NAME"), one) for one in holder.all("SCHEDULER"))
            for element in holder.all("TASK", "SESSION"):
                task = self._task(element)
                if task is not None:
                    self._reusable.setdefault(task.name, task)
        flows = [root] if root.tag == "WORKFLOW" else list(root.every("WORKFLOW"))
        worklets = {
            element.get("NAME"): self._flow(element)
            for holder in holders
            for element in holder.all("WORKLET")
        }
        workflows: dict[str, Flow] = {}
        for element in flows:
            name = element.get("NAME")
            if name in workflows:
                self.fault("powercenter.duplicate", f"two workflows are called {name!r}", element)
            for inner in element.all("WORKLET"):
                worklets.setdefault(inner.get("NAME"), self._flow(inner))
            workflows[name] = self._flow(element)
        return Repository(workflows, worklets, {**self._reusable, **self._inner})

    def fault(
        self, code: str, message: str, element: Element, hint: str | None = None, *, warning: bool = False
    ) -> None:
        """Note a fault, or with `warning` what does not come along."""
        self.faults.append(self.source.fault(code, message, at=element.position, hint=hint, warning=warning))

    # -- flows

    def _flow(self, element: Element) -> Flow:
        name = element.get("NAME")
        if not name:
            self.fault("powercenter.name", f"this {element.tag.lower()} has no NAME", element)
        own = {task.name: task for task in self._tasks(element)}
        self._inner.update(own)
        if any(element.all("TASKINSTANCE")):
            instances = self._instances(element, own)
            links = [self._link(one) for one in element.all("WORKFLOWLINK")]
        else:
            instances = simple_instances(self, element)
            links = simple_links(self, element)
        known = {one.name: one for one in instances}
        for one in instances:
            if known[one.name] is not one:
                self.faults.append(
                    self.source.fault(
                        "powercenter.duplicate", f"two tasks are called {one.name!r}", at=one.position
                    )
                )
        return Flow(
            name=name,
            position=element.position,
            description=element.get("DESCRIPTION"),
            enabled=element.get("ISENABLED", default="YES").upper() != "NO",
            suspends=element.get("SUSPEND_ON_ERROR", default="NO").upper() == "YES",
            suspension_email=element.get("SUSPENSION_EMAIL"),
            instances=known,
            links=tuple(self._known(links, known)),
            variables={one.name: one for one in self._variables(element)},
            attributes=element.properties(),
            places=element.places(),
            extensions={one.get("NAME"): one.get("VALUE") for one in element.all("METADATAEXTENSION")},
            schedule=schedule_of(element, self._schedulers),
        )

    def _tasks(self, element: Element) -> Iterable[Task]:
        for child in element.all("TASK", "SESSION"):
            task = self._task(child)
            if task is not None:
                yield task

    def _task(self, element: Element) -> Task | None:
        name = element.get("NAME")
        word = "SESSION" if element.tag == "SESSION" else _word(element.get("TYPE"))
        if word not in TASK_TYPES:
            near = nearest(word, TASK_TYPES)
            hint = f"did you mean {near.title()}?" if near else "it is carried over by no rule here"
            self.fault(
                "powercenter.task_type", f"task {name!r} has the type {element.get('TYPE')!r}", element, hint
            )
            return None
        kind = TASK_TYPES[word]
        timer = next(iter(element.all("TIMER")), None)
        return Task(
            name=name,
            type=kind,
            position=element.position,
            description=element.get("DESCRIPTION"),
            attributes={**element.properties(), **_session_attributes(element, kind)},
            pairs=tuple(_pairs(element)),
            wait=None if timer is None else self._wait(timer),
            mapping=element.get("MAPPINGNAME"),
            components=_components(element),
        )

    def _instances(self, element: Element, own: dict[str, Task]) -> list[Instance]:
        found = []
        for child in element.all("TASKINSTANCE"):
            name, wanted = child.get("NAME"), child.get("TASKNAME", default=child.get("NAME"))
            word = _word(child.get("TASKTYPE"))
            task = own.get(wanted) or self._reusable.get(wanted)
            if task is None and word in ("START", "WORKLET"):
                task = Task(wanted, TASK_TYPES[word], child.position)
            if task is None:
                near = nearest(wanted, [*own, *self._reusable])
                hint = f"did you mean {near!r}?" if near else "export it together with the workflow"
                self.fault(
                    "powercenter.no_task", f"{name!r} is a task {wanted!r}, which is not here", child, hint
                )
                continue
            found.append(_instance(name, _overridden(task, child), child))
        return found

    def _link(self, element: Element) -> Link:
        condition = element.attributes.get("CONDITION", "")
        return Link(element.get("FROMTASK"), element.get("TOTASK"), condition.strip(), element.position)

    def _known(self, links: Iterable[Link], instances: dict[str, Instance]) -> Iterable[Link]:
        for link in links:
            for name in (link.source, link.target):
                if name not in instances:
                    near = nearest(name, instances)
                    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(instances)}"
                    self.faults.append(
                        self.source.fault(
                            "powercenter.link",
                            f"a link names {name!r}, which is no task here",
                            at=link.position,
                            hint=hint,
                        )
                    )
                    break
            else:
                yield link

    def _variables(self, element: Element) -> Iterable[Variable]:
        for child in element.all("WORKFLOWVARIABLE"):
            name = child.get("NAME")
            if child.get("USERDEFINED", default="YES").upper() == "NO" or not name.startswith("$$"):
                continue  # the predefined ones of each task
            is_null = child.get("ISNULL", default="NO").upper() == "YES"
            default = None if is_null or not child.get("DEFAULTVALUE") else child.get("DEFAULTVALUE")
            persistent = child.get("ISPERSISTENT", default="NO").upper() == "YES"
            yield Variable(name, child.get("DATATYPE", default="string"), default, child.position, persistent)

    def _wait(self, timer: Element) -> Wait | None:
        kind = timer.get("TIMERTYPE").upper()
        if kind == "START_AT_ABSOLUTE_VARIABLE":
            return Wait("variable", moment=timer.get("VARIABLENAME", "DATETIMEVARIABLE", "NAME"))
        for options in timer.every("STARTOPTIONS"):
            if kind == "START_AT_ABSOLUTE_TIME":
                return Wait(
                    "absolute", moment=f"{options.get('STARTDATE')} {options.get('STARTTIME')}".strip()
                )
        for period in timer.every("RECURRING"):
            seconds = _seconds(period)
            if kind in _RELATIVE and seconds is not None:
                return Wait(_RELATIVE[kind], seconds=seconds)  # type: ignore[arg-type]
        self.fault("powercenter.timer", f"a timer of the type {kind!r} without its time", timer)
        return None


def _instance(name: str, task: Task, element: Element) -> Instance:
    def says(attribute: str, default: str) -> bool:
        return element.get(attribute, default=default).upper() == "YES"

    return Instance(
        name=name,
        task=task,
        position=element.position,
        enabled=says("ISENABLED", "YES"),
        join_all=says("TREAT_INPUTLINK_AS_AND", "YES"),
        fails_parent=says("FAIL_PARENT_IF_INSTANCE_FAILS", "NO"),
        fails_parent_unrun=says("FAIL_PARENT_IF_INSTANCE_DID_NOT_RUN", "NO"),
    )


def _overridden(task: Task, element: Element) -> Task:
    """The task with what its instance says otherwise."""
    pairs = tuple(_pairs(element)) or task.pairs
    attributes = {**task.attributes, **element.properties()}
    return Task(
        task.name,
        task.type,
        task.position,
        task.description,
        attributes,
        pairs,
        task.wait,
        task.mapping,
        task.components or _components(element),
    )


def _components(element: Element) -> tuple[str, ...]:
    return tuple(
        " ".join(part for part in (one.get("TYPE"), one.get("REFOBJECTNAME")) if part)
        for one in element.all("SESSIONCOMPONENT")
    )


def _pairs(element: Element) -> list[Pair]:
    found = [
        (int(order) if (order := child.get("EXECORDER")).isdigit() else number, child)
        for number, child in enumerate(element.all("VALUEPAIR"), 1)
    ]
    return [
        Pair(child.get("NAME"), child.attributes.get("VALUE", ""), child.position)
        for _, child in sorted(found, key=lambda one: one[0])
    ]


def _session_attributes(element: Element, kind: str) -> dict[str, str]:
    if kind != "session":
        return {}
    found: dict[str, str] = {}
    for part in element.every("SESSTRANSFORMATIONINST", "SESSIONEXTENSION", "SESSIONCOMPONENT"):
        name = part.get("SINSTANCENAME", "NAME", "TYPE", "REFOBJECTNAME")
        found.update({f"{name}.{key}": value for key, value in part.properties().items()})
        for connection in part.all("CONNECTIONREFERENCE"):
            kind = connection.get("CNXREFNAME", default="Connection") or "Connection"
            found[f"{name}.{kind}"] = connection.get("CONNECTIONNAME", "VARIABLE")
    for config in element.all("CONFIGREFERENCE"):
        found["Session config"] = config.get("REFOBJECTNAME")
    return found


def _seconds(period: Element) -> float | None:
    parts = (("DAYS", 86_400), ("HOURS", 3_600), ("MINUTES", 60), ("SECONDS", 1))
    found = [(seconds_of(period.get(name, default="0") or "0"), size) for name, size in parts]
    return None if any(number is None for number, _ in found) else sum((n or 0.0) * size for n, size in found)


def _word(text: str) -> str:
    return "".join(one for one in text.upper() if one.isalpha())


__all__ = ["SIMPLE_TAGS", "Reader"]
