"""From an export to a native document. Pure: no file, no clock, and nothing is run."""

from __future__ import annotations

import json
from typing import Any

from nodeling.errors import ConfigError, nearest
from nodeling.formats import Converted, Source, Wishes
from nodeling_bridges.powercenter.elements import XmlFault, read
from nodeling_bridges.powercenter.left_behind import tell_of_flow
from nodeling_bridges.powercenter.lower import MAIL_SETTINGS, START, Lowering, Whole
from nodeling_bridges.powercenter.model import Flow, Repository
from nodeling_bridges.powercenter.parameters import read_parameters
from nodeling_bridges.powercenter.plan import decision_table
from nodeling_bridges.powercenter.repository import Reader

CHOICE = "WORKFLOW"  # `--bind WORKFLOW=name` says which, in an export of several


def repository_of(source: Source) -> tuple[Repository, Reader]:
    """What an export holds, and the reader that knows its faults.

    Raises:
        ConfigError: It is no XML that may come in.
    """
    try:
        root = read(source.text)
    except XmlFault as error:
        fault = source.fault("powercenter.xml", error.message, at=error.position)
        raise ConfigError(str(fault), code="powercenter.xml", faults=[fault]) from error
    reader = Reader(source)
    return reader.read(root), reader


def convert(source: Source, wishes: Wishes) -> Converted:
    """The native document of an export's workflow.

    Raises:
        ConfigError: Something in it means nothing, or sessions are bound to no node; all of it is listed.
    """
    repository, reader = repository_of(source)
    parameters = read_parameters(wishes.parameters)
    bindings = dict(wishes.bindings)
    flow = _chosen(source, repository, bindings.pop(CHOICE, None))
    whole = Whole(source, repository, parameters, bindings, wishes.dry_run)
    whole.faults.extend(reader.faults)
    document = native(flow, whole)
    _judge_bindings(whole, bindings)
    errors = [fault for fault in whole.faults if fault.severity == "error"]
    if errors:
        message = f"{source.name} has {len(errors)} faults"
        raise ConfigError(message, code="powercenter.faults", faults=whole.faults)
    return Converted(document, whole.faults, whole.places, plan=decision_table(flow, repository))


def native(flow: Flow, whole: Whole) -> dict[str, Any]:
    """The document of a workflow; what is wrong with it is among the faults of `whole`."""
    whole.top = flow.name
    whole.start = whole.fresh(flow.start() or (START if START not in flow.instances else "Begin"))
    whole.suspends = flow.suspends
    lowering = Lowering(whole, flow, "/steps", None)
    document: dict[str, Any] = {"name": flow.name}
    if flow.description:
        document["description"] = flow.description
    document["steps"] = lowering.steps()
    states = {name: f"steps[{json.dumps(name)}]" for name in lowering.tasks()}
    settings: dict[str, Any] = {"on_failure": "suspend"} if flow.suspends else {}
    if whole.mails:
        settings["env"] = [variable for _, _, variable, _ in MAIL_SETTINGS]
    if settings:
        document["settings"] = settings
    if flow.extensions:
        document["metadata"] = {"powercenter": dict(flow.extensions)}
    document["output"] = {
        name: f"${{powercenter_status({step}.status, {step}.reason)}}" for name, step in states.items()
    }
    _judge_flow(lowering, flow)
    return document


def _chosen(source: Source, repository: Repository, wanted: str | None) -> Flow:
    known = repository.workflows
    if wanted is not None:
        if wanted in known:
            return known[wanted]
        near = nearest(wanted, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
        raise ConfigError(f"{source.name} has no workflow {wanted!r}", code="powercenter.workflow", hint=hint)
    if len(known) == 1:
        return next(iter(known.values()))
    what = f"holds {len(known)} workflows: {', '.join(known)}" if known else "holds no workflow"
    hint = f"say which: --bind {CHOICE}=name" if known else "export the workflow with what it uses"
    raise ConfigError(f"{source.name} {what}", code="powercenter.workflow", hint=hint)


def _judge_flow(lowering: Lowering, flow: Flow) -> None:
    tell_of_flow(lowering, flow)
    if flow.schedule:
        lowering.note(
            f"the schedule {flow.schedule!r} stays behind: the workflow runs when it is started", flow
        )
    if not flow.enabled:
        lowering.note(f"the workflow {flow.name!r} is disabled there; here it runs when it is started", flow)


def _judge_bindings(whole: Whole, bindings: dict[str, str]) -> None:
    if not whole.dry_run:
        for name, position in whole.unbound.items():
            said, hint = (
                f"the session {name!r} is bound to no node",
                f"--bind {name}=NODE, or --bindings FILE",
            )
            whole.faults.append(whole.source.fault("powercenter.unbound", said, at=position, hint=hint))
    sessions = {
        word
        for flow in (*whole.repository.workflows.values(), *whole.repository.worklets.values())
        for one in flow.instances.values()
        if one.task.type == "session"
        for word in (one.name, one.task.name, one.task.mapping)
    }
    for wanted in bindings:
        if wanted not in sessions:
            near = nearest(wanted, sessions)
            said = f"--bind names {wanted!r}, which is no session of this export"
            fault = whole.source.fault(
                "powercenter.binding", said, hint=f"did you mean {near!r}?" if near else None
            )
            whole.faults.append(fault)
