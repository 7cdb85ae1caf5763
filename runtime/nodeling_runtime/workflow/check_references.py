"""Every reference of every expression: does it name something that exists, and that comes before?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodeling.errors import nearest
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.workflow.missing import MISSING
from nodeling_runtime.workflow.model import Step
from nodeling_runtime.workflow.plan import FAILED, SKIPPED, SUCCEEDED
from nodeling_runtime.workflow.sight import Sight

if TYPE_CHECKING:
    from nodeling_runtime.expressions.references import Reference
    from nodeling_runtime.workflow.check import Check

ROOTS = ("ctx", "steps")
CTX = ("request", "vars", "config", "env", "run", "error", "response")
REQUEST = ("body", "headers", "query", "params", "method", "path")
STEP = ("output", "status", "reason", "error", "metrics", "started", "ended")
SHOWN_NAMES = 12


class ReferenceCheck:
    """The references of one step; without a step, those of the workflow's output."""

    def __init__(self, check: Check, sight: Sight, step: Step | None) -> None:
        self.check = check
        self.sight = sight
        self.step = step
        self._pointer = ""
        self._position = 0

    def template(self, template: Template) -> None:
        """Check every reference of a template."""
        for pointer, reference in template.references:
            self._pointer, self._position = pointer, reference.position
            self._reference(reference)

    def _fault(self, code: str, message: str, hint: str | None = None) -> None:
        self.check.fault(code, message, self._pointer, hint, inside=self._position)

    def _reference(self, reference: Reference) -> None:
        if reference.root == "steps":
            self._steps(reference)
        elif reference.root == "ctx":
            self._ctx(reference)
        elif reference.root not in self.sight.local_names():
            known = [*ROOTS, *self.sight.local_names()]
            hint = meant(reference.root, known, "there is ")
            if self.sight.find(reference.root) is not None:
                hint = f"write {spelled(reference.root)}.output"
            self._fault("expr.unknown_name", f"nothing is called {reference.root!r} here", hint)

    # -- steps

    def _steps(self, reference: Reference) -> None:
        path = reference.path
        if not path or not isinstance(path[0], str) or not self._ancestor(path[0]) or len(path) < 2:
            return
        name, field = path[0], path[1]
        if isinstance(field, str) and field not in STEP:
            near = nearest(field, STEP)
            hint = f"did you mean {near!r}?" if near else f"write {spelled(name)}.output.{field}"
            self._fault("expr.no_such_key", f"a step has no {field!r}", hint)
            return
        if field == "output" and not reference.guarded:
            self._never_succeeded(name)
        self._exists(reference, name, path[2:])

    def _ancestor(self, name: str) -> bool:
        found = self.sight.find(name)
        if found is not None and found[1]:
            return True
        if self.step is not None and name == self.step.name:
            self._fault(
                "workflow.no_ancestor", f"{name!r} refers to itself", "refer to a step that comes before"
            )
        elif found is not None:
            self._not_before(found[0], self.step.name if self.step is not None else "")
        elif name in self.check.owners:
            holder = self.check.holders[name]
            message = f"{name!r} is a step inside {holder!r}, which cannot be seen from here"
            hint = f"read the output of {holder!r}" if holder else None
            self._fault("workflow.no_ancestor", message, hint)
        else:
            names = self.sight.step_names()
            hint = meant(name, names, "the steps before are ") if names else "no step comes before"
            self._fault("workflow.unknown_step", f"no step is called {name!r}", hint)
        return False

    def _not_before(self, other: Step, mine: str) -> None:
        """The step is known here, but is no ancestor."""
        name, plan = other.name, self.sight.plan
        message = f"{name!r} does not come before {mine!r}"
        if self.sight.independent_sibling(name):
            message = f"{name!r} runs beside {mine!r}: children here do not see one another"
            hint = "put them into a `sequence`"
        elif name not in plan.index or self.sight.index is None:
            hint = f"only steps before the container of {mine!r} can be seen in it"
        elif other.trigger != plan.steps[self.sight.index].trigger:
            hint = f"it runs later, as an `{other.trigger}` step"
        elif plan.ancestors[plan.index[name]] >> self.sight.index & 1:
            hint = f"it runs after {mine!r}"
        else:
            hint = f"add {name!r} to `needs`"
        self._fault("workflow.no_ancestor", message, hint)

    def _never_succeeded(self, name: str) -> None:
        """A step that runs only when another did not succeed cannot read that one's output."""
        index, plan = self.sight.index, self.sight.plan
        source = plan.index.get(name)
        if index is None or source is None or plan.needed[index] < len(plan.links[index]):
            return
        for link in plan.links[index]:
            silent = link.source != source or link.sequential or not plan.steps[source].active
            if silent or link.accepts & SUCCEEDED:
                continue
            was = "was skipped" if link.accepts & SKIPPED else "did not succeed"
            was = "failed" if link.accepts & FAILED else was
            message = f"this step runs only when {name!r} {was}, and then that has no output"
            hint = f"read {spelled(name)}.error, or guard it: {spelled(name)}?.output"
            self._fault("expr.no_output", message, hint)

    def _exists(self, reference: Reference, name: str, path: tuple[str | int | None, ...]) -> None:
        """Whether the declared output can hold the key at all."""
        if reference.guarded or self.sight.schema_of(reference) is not MISSING:
            return
        from nodeling_runtime.workflow.fit_select import known_keys, select

        schema = self.sight.output_of(name)
        for depth, key in enumerate(path):
            if select(schema, path[: depth + 1]) is not MISSING:
                continue
            holder = select(schema, path[:depth])
            known = known_keys(holder) if holder is not None and holder is not MISSING else []
            inside = ".".join(map(str, path[:depth]))
            where = f"{inside!r} in the output of {name!r}" if inside else f"the output of {name!r}"
            self._fault("expr.no_such_key", f"{where} has no {key!r}", meant(str(key), known))
            return

    # -- ctx

    def _ctx(self, reference: Reference) -> None:
        path = reference.path
        if not path or not isinstance(path[0], str):
            return
        part = path[1] if len(path) > 1 and isinstance(path[1], str) else None
        if path[0] not in CTX:
            self._fault("expr.no_such_key", f"ctx has no {path[0]!r}", meant(path[0], CTX))
        elif path[:2] == ("response", "data"):
            self._response()
        elif part is not None and path[0] == "request":
            self._request(reference, part)
        elif part is not None and path[0] == "vars":
            if part in self.check.owners and not reference.guarded:
                self._variable(part, reference)
        elif part is not None and path[0] == "env" and part not in self.sight.workflow.settings.env:
            message = f"this workflow may not read the environment variable {part!r}"
            self._fault("expr.no_such_key", message, "list it under settings.env")

    def _request(self, reference: Reference, part: str) -> None:
        if part not in REQUEST:
            self._fault("expr.no_such_key", f"ctx.request has no {part!r}", meant(part, REQUEST))
        elif self.sight.schema_of(reference) is MISSING and not reference.guarded:
            from nodeling_runtime.workflow.fit_select import known_keys

            inputs = self.sight.workflow.inputs
            known = known_keys(True if inputs is None else inputs)
            missing = ".".join(map(str, reference.path[2:]))
            self._fault("expr.no_such_key", f"the workflow's input has no {missing!r}", meant(missing, known))

    def _variable(self, name: str, reference: Reference) -> None:
        """`ctx.vars.X` where X is a step: its output stands there, so it has to come before."""
        found = self.sight.find(name)
        if found is None or not found[1]:
            self._ancestor(name)
        elif found[0].set_var is False:
            message = f"{name!r} keeps its output out of ctx.vars (`set_var: false`)"
            self._fault("expr.no_such_key", message, f"write {spelled(name)}.output")
        else:
            self._exists(reference, name, reference.path[2:])

    def _response(self) -> None:
        source = self.sight.source_of_response()
        if isinstance(source, int) and source > 1:
            message = f"`ctx.response` is unclear: this step waits for {source} others"
            self._fault("expr.response", message, "write steps.<name>.output")


def spelled(name: str) -> str:
    """A step as expressions write it."""
    return f"steps.{name}" if name.isidentifier() else f'steps["{name}"]'


def meant(word: str, known: Sequence[str], otherwise: str = "it has ") -> str | None:
    """A hint: the nearest of the known names, else all of them."""
    near = nearest(word, known)
    if near:
        return f"did you mean {near!r}?"
    return f"{otherwise}{', '.join(known[:SHOWN_NAMES])}" if known else None
