"""Builds a workflow call by call; the older shapes of its calls are known, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.errors import ConfigError
from nodeling_bridges.kailash.api.nodes.base import Node, class_called
from nodeling_bridges.kailash.api.workflow.graph import Workflow

__all__ = ["WorkflowBuilder"]

Kind = str | Node | type[Node]


class WorkflowBuilder:
    """Collects nodes and connections; `build` checks them together."""

    def __init__(self) -> None:
        self._workflow = Workflow("workflow")

    def add_node(self, first: Kind, second: Any = None, third: Any = None, /, **config: Any) -> str:
        """Add a node, and return its id.

        `("Type", "id", {config})`, `(Class, "id", {config})` and `(instance, "id")` are the shapes of today;
        `("id", Class, …)` and `("id", instance)` those of before, and `("Type", {config})` makes up an id.

        Raises:
            ConfigError: The call has another shape, or the node is wrong.
        """
        kind, name, given = self._shape(first, second, third)
        self._workflow.add_node(name, kind, **{**given, **config})
        return name

    def _shape(self, first: Kind, second: Any, third: Any) -> tuple[Kind, str, Mapping[str, Any]]:
        if isinstance(first, str) and isinstance(second, Node | type):
            first, second = second, first
        if isinstance(second, Mapping) or second is None:
            if third is not None:
                raise ConfigError("add_node(type, id, config)", code="kailash.node")
            return first, self._fresh(first), second or {}
        if not isinstance(second, str) or not (third is None or isinstance(third, Mapping)):
            raise ConfigError(f"add_node(type, id, config), not {second!r:.40}", code="kailash.node")
        if isinstance(first, str) and class_called(first) is None and class_called(second) is not None:
            first, second = second, first
        return first, second, third or {}

    def _fresh(self, kind: Kind) -> str:
        word = kind if isinstance(kind, str) else getattr(kind, "__name__", type(kind).__name__)
        number = 1
        while f"{word}_{number}" in self._workflow.nodes:
            number += 1
        return f"{word}_{number}"

    def add_connection(
        self, from_node: str, from_output: str, to_node: str, to_input: str
    ) -> WorkflowBuilder:
        """Bring one output into one input."""
        self._workflow.connect(from_node, to_node, from_output=from_output, to_input=to_input)
        return self

    def connect(
        self,
        from_node: str,
        to_node: str,
        mapping: Mapping[str, str] | None = None,
        *,
        from_output: str | None = None,
        to_input: str | None = None,
        output_key: str | None = None,
    ) -> WorkflowBuilder:
        """Bring outputs of one node into inputs of another."""
        self._workflow.connect(
            from_node, to_node, mapping, output_key=output_key, from_output=from_output, to_input=to_input
        )
        return self

    def add_workflow_inputs(self, node_id: str, input_mapping: Mapping[str, str]) -> WorkflowBuilder:
        """Say which parameters of a run go to which parameters of a node."""
        for given, target in input_mapping.items():
            self._workflow.workflow_inputs[given] = (node_id, target)
        return self

    def build(self, workflow_id: str | None = None, **about: Any) -> Workflow:
        """The workflow, checked.

        Raises:
            ConfigError: It has faults; all of them are listed.
        """
        built = Workflow(workflow_id or self._workflow.workflow_id, **about)
        built.nodes = dict(self._workflow.nodes)
        built.connections = list(self._workflow.connections)
        built.workflow_inputs = dict(self._workflow.workflow_inputs)
        built.validate()
        return built

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkflowBuilder:
        """A builder that holds what a serialised workflow holds."""
        made = cls()
        made._workflow = Workflow.from_dict(data)
        return made
