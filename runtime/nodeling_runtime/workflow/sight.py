"""What a step can refer to: its ancestors here and around, the names its containers give, the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nodeling._dataclass import dataclass
from nodeling_runtime.workflow.missing import MISSING, Missing
from nodeling_runtime.workflow.model import Step, Workflow
from nodeling_runtime.workflow.plan import Plan

if TYPE_CHECKING:
    from nodeling_runtime.expressions.references import Reference

Schema = Mapping[str, Any] | bool


@dataclass(frozen=True, slots=True)
class Sight:
    """One step's place in its scope and in the scopes around it."""

    workflow: Workflow
    plan: Plan
    outer: Sight | None
    visible: int
    names: tuple[str, ...]
    index: int | None = None

    def levels(self) -> Iterator[Sight]:
        """This level and those around it, innermost first."""
        here: Sight | None = self
        while here is not None:
            yield here
            here = here.outer

    def find(self, name: str) -> tuple[Step, bool] | None:
        """A step by name, and whether it comes before this one."""
        for level in self.levels():
            index = level.plan.index.get(name)
            if index is not None:
                return level.plan.steps[index], bool(level.visible >> index & 1)
        return None

    def step_names(self) -> list[str]:
        """The steps that may be referred to."""
        return [
            step.name
            for level in self.levels()
            for i, step in enumerate(level.plan.steps)
            if level.visible >> i & 1
        ]

    def local_names(self) -> list[str]:
        """`item` and its like."""
        return [name for level in self.levels() for name in level.names]

    def independent_sibling(self, name: str) -> bool:
        """Whether the step is a sibling among children that do not see one another."""
        return any(
            name in level.plan.index and level.plan.independent and level.index is not None
            for level in self.levels()
        )

    def source_of_response(self) -> Step | None | int:
        """The one step whose output is `ctx.response.data`; the number of sources when there are several."""
        if self.index is None:
            return None
        links = self.plan.links[self.index]
        if len(links) > 1:
            return len(links)
        return self.plan.steps[links[0].source] if links and not links[0].sequential else None

    def schema_of(self, reference: Reference) -> Schema | Missing | None:
        """What a reference holds: a schema, MISSING when nothing can be there, None when nobody knows."""
        path = reference.path
        if reference.root == "steps" and len(path) >= 2 and isinstance(path[0], str):
            return self._of_step(path[0], path[1:])
        if reference.root == "ctx" and len(path) >= 2 and path[0] == "vars" and isinstance(path[1], str):
            found = self.find(path[1])
            if found is not None and found[1]:
                return self._of_step(path[1], ("output", *path[2:]))
        if reference.root == "ctx" and path[:2] == ("request", "body"):
            inputs = self.workflow.inputs
            return None if inputs is None else _selected(inputs, path[2:])
        return None

    def _of_step(self, name: str, path: tuple[str | int | None, ...]) -> Schema | Missing | None:
        found = self.find(name)
        if found is None:
            return None
        step = found[0]
        if path[0] == "status":
            return {"type": "string"} if len(path) == 1 else MISSING
        if path[0] != "output" or step.continues or not step.active:
            return None
        return _selected(step.spec.manifest.output, path[1:])

    def output_of(self, name: str) -> Schema:
        """The declared output of a step."""
        found = self.find(name)
        return True if found is None else found[0].spec.manifest.output


def _selected(schema: Schema, path: tuple[str | int | None, ...]) -> Schema | Missing | None:
    from nodeling_runtime.workflow.fit_select import select  # for those who refer to something

    return select(schema, path)
