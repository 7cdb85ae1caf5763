"""The steps of a native document that stand for no task: its start, what guards a flag, and its ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nodeling.errors import nearest
from nodeling_bridges.powercenter.lower_tasks import lowered
from nodeling_bridges.powercenter.model import Instance, Task, Variable

if TYPE_CHECKING:
    from nodeling_bridges.powercenter.lower import Lowering

Step = dict[str, Any]
STORAGE = "$PMStorageDir"


def start_step(lowering: Lowering) -> Step:
    """What begins the workflow: it sets the variables and knows the time."""
    whole = lowering.whole
    known = {key.lower(): value for key, value in whole.parameters.of_workflow(whole.top).items()}
    values: dict[str, Any] = {}
    for variable in _variables(lowering):
        name = variable.name.lower()
        values[variable.name] = {
            "datatype": variable.datatype,
            "value": known.get(name, variable.default),
        }
        if variable.persistent and name not in known:
            values[variable.name]["persistent"] = True
    inputs = {"variables": values, **(_storage(lowering) if _persistent(lowering) else {})}
    return {"name": whole.start, "node": "powercenter-start", "inputs": inputs, "needs": []}


def guard(lowering: Lowering, instance: Instance) -> Step:
    """What fails the parent when a task did not run."""
    return {
        "name": lowering.fresh(f"{instance.name}-must-run"),
        "description": f"FAIL_PARENT_IF_INSTANCE_DID_NOT_RUN of {instance.name}.",
        "node": "control",
        "needs": [{"step": lowering.step_of[instance.name], "on": "skipped"}],
        "inputs": {
            "action": "fail",
            # a resume would do the step itself again, and nothing would come of it
            "target": "parent" if lowering.whole.suspends else "self",
            "message": f"{instance.name} did not run",
        },
    }


def suspension_email(lowering: Lowering, number: int) -> list[Step]:
    """What tells of a suspension, as the step of that number."""
    flow, wanted = lowering.flow, lowering.flow.suspension_email
    if not wanted:
        return []
    reusable = lowering.whole.repository.reusable
    task = reusable.get(wanted)
    at = Instance(wanted, task or Task(wanted, "email", flow.position), flow.position)
    if not lowering.whole.suspends:
        lowering.note(f"the suspension e-mail {wanted!r}: the workflow does not suspend on errors", at)
        return []
    if task is None or task.type != "email":
        what = "which is not here" if task is None else f"which is no Email but a {task.type}"
        near = nearest(wanted, [name for name, one in reusable.items() if one.type == "email"])
        hint = f"did you mean {near!r}?" if near else "export it together with the workflow"
        lowering.fault("powercenter.no_task", f"SUSPENSION_EMAIL names {wanted!r}, {what}", at, hint)
        return []
    before, lowering.pointer = lowering.pointer, f"{lowering.pointer}/{number}"
    lowering.whole.places[lowering.pointer] = at.position
    body = lowered(lowering, at)
    lowering.pointer = before
    told = "Tells that the run is suspended."
    return [{"name": lowering.fresh(wanted), "description": told, "trigger": "on_error", **body}]


def keeping(lowering: Lowering) -> list[Step]:
    """What keeps the persistent variables when the workflow has succeeded."""
    names = _persistent(lowering)
    if not names:
        return []
    variables = {name: f"${{ctx.vars[{json.dumps(name)}]}}" for name in names}
    return [
        {
            "name": lowering.fresh("keep-variables"),
            "description": "Keeps the persistent variables for the next run.",
            "node": "powercenter-keep",
            "trigger": "always",
            "if": '${ctx.run.status == "succeeded"}',
            "inputs": {**_storage(lowering), "variables": variables},
        }
    ]


def _storage(lowering: Lowering) -> dict[str, Any]:
    """Where persistent variables are kept."""
    folder = lowering.names.server_value(STORAGE)
    return {"workflow": lowering.whole.top, **({} if folder is None else {"folder": folder})}


def _persistent(lowering: Lowering) -> list[str]:
    return [variable.name for variable in _variables(lowering) if variable.persistent]


def _variables(lowering: Lowering) -> list[Variable]:
    found = dict(lowering.flow.variables)
    for worklet in lowering.whole.repository.worklets.values():
        for name, variable in worklet.variables.items():
            found.setdefault(name, variable)
    return list(found.values())
