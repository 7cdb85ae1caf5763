"""Every reference of every expression: does it name something that exists, and that comes before?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeling.errors import nearest
from nodeling_runtime.expressions.references import Reference
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.workflow.fit_select import MISSING, known_keys, select
from nodeling_runtime.workflow.model import Step
from nodeling_runtime.workflow.plan import FAILED, SKIPPED, SUCCEEDED
from nodeling_runtime.workflow.sight import Sight

if TYPE_CHECKING:
    from nodeling_runtime.workflow.check import _Check

ROOTS = ("ctx", "steps")
CTX = ("request", "vars", "config", "env", "run", "error", "response")
REQUEST = ("body", "headers", "query", "params", "method", "path")
STEP = ("output", "status", "reason", "error")


class ReferenceCheck:
    """The references of one step."""

    def __init__(self, check: _Check, sight: Sight, step: Step | None) -> None:
        self.check = check
        self.sight = sight
        self.step = step
        self.failed = False

    def template(self, template: Template) -> None:
        """Check every reference of a template."""
        for pointer, reference in template.references:
            self._reference(reference, pointer)

    def _fault(self, code: str, message: str, pointer: str, hint: str | None = None) -> None:
        self.failed = True
        self.check.fault(code, message, pointer, hint)

    def _reference(self, reference: Reference, pointer: str) -> None:
        if reference.root == "steps":
            self._steps(reference, pointer)
        elif reference.root == "ctx":
            self._ctx(reference, pointer)
        elif reference.root not in self.sight.local_names():
            known = [*ROOTS, *self.sight.local_names()]
            near = nearest(reference.root, known)
            hint = f"did you mean {near!r}?" if near else f"there is {', '.join(known)}"
            if self.sight.find(reference.root) is not None:
                hint = f"write steps.{reference.root}.output"
            self._fault("expr.unknown_name", f"nothing is called {reference.root!r} here", pointer, hint)

    def _steps(self, reference: Reference, pointer: str) -> None:
        if not reference.path or not isinstance(reference.path[0], str):
            return
        name = reference.path[0]
        if not self._ancestor(name, pointer):
            return
        if len(reference.path) < 2:
            return
        field = reference.path[1]
        if isinstance(field, str) and field not in STEP:
            near = nearest(field, STEP)
            hint = f"did you mean {near!r}?" if near else f"write steps.{name}.output.{field}"
            self._fault("expr.no_such_key", f"a step has no {field!r}", pointer, hint)
            return
        if field == "output" and not reference.guarded:
            self._never_succeeded(name, pointer)
        self._exists(reference, pointer, name, reference.path[2:])

    def _ancestor(self, name: str, pointer: str) -> bool:
        found = self.sight.find(name)
        if found is not None and found[1]:
            return True
        who = "here" if self.step is None else f"before {self.step.name!r}"
        if self.step is not None and name == self.step.name:
            self._fault("workflow.no_ancestor", f"{name!r} refers to itself", pointer)
        elif found is not None and self.sight.independent_sibling(name):
            self._fault("workflow.no_ancestor", f"{name!r} runs beside this step: children here do not see one another", pointer, "put them in a `sequence`")
        elif found is not None or name in self.check.owners:
            inside = found is None
            hint = "only the output of its container can be seen" if inside else f"add {name!r} to `needs`"
            self._fault("workflow.no_ancestor", f"step {name!r} does not come {who}", pointer, hint)
        else:
            near = nearest(name, self.sight.step_names())
            hint = f"did you mean {near!r}?" if near else None
            self._fault("workflow.unknown_step", f"no step is called {name!r}", pointer, hint)
        return False

    def _never_succeeded(self, name: str, pointer: str) -> None:
        """A step that runs only when another did not succeed cannot read that one's output."""
        index, plan = self.sight.index, self.sight.plan
        source = plan.index.get(name)
        if index is None or source is None or plan.needed[index] < len(plan.links[index]):
            return
        for link in plan.links[index]:
            if link.source == source and not link.sequential and not link.accepts & SUCCEEDED and plan.steps[source].active:
                words = "failed" if link.accepts & FAILED else "was skipped" if link.accepts & SKIPPED else "did not succeed"
                self._fault("expr.no_output", f"this step runs only when {name!r} {words}, and then that has no output", pointer, f"read steps.{name}.error, or guard it: steps.{name}?.output")

    def _exists(self, reference: Reference, pointer: str, name: str, path: tuple[str | int | None, ...]) -> None:
        """Whether the declared output can hold the key at all."""
        if reference.guarded or self.sight.schema_of(reference) is not MISSING:
            return
        schema = self.sight.output_of(name)
        for depth in range(len(path)):
            below = select(schema, path[: depth + 1])
            if below is MISSING:
                holder = select(schema, path[:depth])
                known = known_keys(holder) if holder is not None and holder is not MISSING else []
                near = nearest(str(path[depth]), known)
                hint = f"did you mean {near!r}?" if near else (f"it has {', '.join(known)}" if known else None)
                what = "".join(f".{part}" for part in path[:depth])
                self._fault("expr.no_such_key", f"the output of {name!r} has no {path[depth]!r}{f' in {what[1:]}' if what else ''}", pointer, hint)
                return

    def _ctx(self, reference: Reference, pointer: str) -> None:
        path = reference.path
        if not path or not isinstance(path[0], str):
            return
        if path[0] not in CTX:
            near = nearest(path[0], CTX)
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(CTX)}"
            self._fault("expr.no_such_key", f"ctx has no {path[0]!r}", pointer, hint)
        elif path[0] == "request" and len(path) > 1 and isinstance(path[1], str):
            self._request(reference, path[1], pointer)
        elif path[0] == "vars" and len(path) > 1 and isinstance(path[1], str):
            if path[1] in self.check.owners and not reference.guarded:
                self._ancestor_variable(path[1], reference, pointer)
        elif path[0] == "env" and len(path) > 1 and isinstance(path[1], str):
            allowed = self.sight.workflow.settings.env
            if path[1] not in allowed:
                self._fault("expr.no_such_key", f"this workflow may not read the environment variable {path[1]!r}", pointer, "list it under settings.env")
        elif path[:2] == ("response", "data"):
            self._response(pointer)

    def _request(self, reference: Reference, part: str, pointer: str) -> None:
        if part not in REQUEST:
            near = nearest(part, REQUEST)
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(REQUEST)}"
            self._fault("expr.no_such_key", f"ctx.request has no {part!r}", pointer, hint)
        elif self.sight.schema_of(reference) is MISSING and not reference.guarded:
            known = known_keys(self.sight.workflow.inputs or True)
            near = nearest(str(reference.path[2]), known) if len(reference.path) > 2 else None
            hint = f"did you mean {near!r}?" if near else (f"it has {', '.join(known)}" if known else None)
            self._fault("expr.no_such_key", f"the workflow's input has no {'.'.join(map(str, reference.path[2:]))!r}", pointer, hint)

    def _ancestor_variable(self, name: str, reference: Reference, pointer: str) -> None:
        """`ctx.vars.X` where X is a step: its output stands there, so it has to come before."""
        found = self.sight.find(name)
        if found is None or not found[1]:
            self._ancestor(name, pointer)
            return
        if found[0].set_var is False:
            self._fault("expr.no_such_key", f"{name!r} keeps its output out of ctx.vars (`set_var: false`)", pointer, f"write steps.{name}.output")
            return
        self._exists(reference, pointer, name, reference.path[2:])

    def _response(self, pointer: str) -> None:
        source = self.sight.source_of_response()
        if isinstance(source, int) and source > 1:
            self._fault("expr.response", f"`ctx.response` is unclear: this step waits for {source} others", pointer, "write steps.<name>.output")
