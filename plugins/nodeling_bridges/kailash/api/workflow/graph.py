"""A workflow: nodes, connections, and the native document that they become."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nodeling
from nodeling.errors import ConfigError
from nodeling.formats import Source
from nodeling.node import NodeDefinition, node
from nodeling_bridges.kailash.api.nodes.base import Node, class_called, implementation, known_types
from nodeling_bridges.kailash.catalogue import NodeType, custom_type
from nodeling_bridges.kailash.document import graph_of
from nodeling_bridges.kailash.draft import Draft, suggestion
from nodeling_bridges.kailash.elsewhere import instead_of
from nodeling_bridges.kailash.limits import limits_of
from nodeling_bridges.kailash.load import document_of
from nodeling_bridges.kailash.model import Connection, Graph, Limits, NodeEntry
from nodeling_bridges.kailash.programs import free_names

__all__ = ["Prepared", "Workflow"]

Values = Mapping[str, Any]
_REPEATS = ("cycle", "max_iterations", "convergence_check", "cycle_id", "timeout", "condition")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workflow ready to run.

    Attributes:
        native: The workflow of ours.
        kinds: The type of each node, which says where its outputs stand.
        notes: What does not hold as it was asked for.
    """

    native: nodeling.Workflow
    kinds: dict[str, NodeType]
    notes: list[str] = field(default_factory=list)


class Workflow:
    """Nodes by id, and the connections between them."""

    def __init__(
        self,
        workflow_id: str,
        name: str = "",
        description: str = "",
        version: str = "1.0.0",
        author: str = "",
        metadata: Values | None = None,
    ) -> None:
        self.workflow_id = workflow_id
        self.name = name or workflow_id
        self.description = description
        self.version = version
        self.author = author
        self.metadata = dict(metadata or {})
        self.runtime_config: dict[str, Any] = {}
        self.nodes: dict[str, Node] = {}
        self.connections: list[Connection] = []
        self.workflow_inputs: dict[str, tuple[str, str]] = {}

    @property
    def workflow(self) -> Workflow:
        """This workflow: some documents write `workflow.workflow.add_node(…)`."""
        return self

    def add_node(self, node_id: str, node_or_type: Node | type[Node] | str, **config: Any) -> Workflow:
        """Add a node, a class of nodes, or the name of such a class.

        Raises:
            ConfigError: There is one of that id, no such type, or a parameter that the type does not have.
        """
        judge(isinstance(node_id, str) and node_id, f"a node's id is a text, not {node_id!r:.60}")
        if node_id in self.nodes:
            raise ConfigError(f"two nodes are called {node_id!r}", code="kailash.node")
        self.nodes[node_id] = _made(node_id, node_or_type, config)
        return self

    def connect(
        self,
        source_node: str,
        target_node: str,
        mapping: Mapping[str, str] | None = None,
        *,
        output_key: str | None = None,
        from_output: str | None = None,
        to_input: str | None = None,
        **repetition: Any,
    ) -> Workflow:
        """Bring outputs of one node into inputs of another.

        Args:
            source_node: Where the values come from; it may be added later.
            target_node: Where they go.
            mapping: Inputs by the outputs that go into them; paths with dots lead into an output.
            output_key: The output in which the mapping's paths lie, as the branch of a switch.
            from_output: One output.
            to_input: The input that it goes into.
            **repetition: Refused: `cycle`, `max_iterations` and their like.

        Raises:
            ConfigError: The mapping is none, says too much, or the connection is to repeat something.
        """
        for key in repetition:
            if key not in _REPEATS:
                raise TypeError(f"connect() got an unexpected keyword argument {key!r}")
            said = f"connect() takes no {key!r}: nothing repeats here"
            judge(False, said, "write what repeats as one PythonCodeNode, or as a native `while`")
        pairs = [] if mapping is None else _pairs(mapping)
        if mapping and (from_output or to_input):
            raise ConfigError("say `mapping`, or `from_output` and `to_input`", code="kailash.connection")
        if not mapping:
            whole = output_key or from_output
            self.connections.append(Connection(source_node, whole, target_node, to_input))
        for output, wanted in pairs:
            path = f"{output_key}.{output}" if output_key else output
            self.connections.append(Connection(source_node, path, target_node, wanted))
        return self

    def validate(self) -> None:
        """Check the whole workflow; nothing is run.

        Raises:
            ConfigError: It has faults; all of them are listed.
        """
        prepared = self.prepare({})
        faults = [fault for fault in prepared.native.check() if fault.severity == "error"]
        if faults:
            said = "; ".join(fault.message for fault in faults)
            raise ConfigError(f"{self.workflow_id}: {said}", code="kailash.faults", faults=faults)

    # -- other forms

    def to_dict(self) -> dict[str, Any]:
        """The serialised form."""
        found: dict[str, Any] = {
            "workflow_id": self.workflow_id,
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "author": self.author,
            "metadata": dict(self.metadata),
            "nodes": {
                name: {"node_id": name, "node_type": type(one).__name__, "config": dict(one.config)}
                for name, one in self.nodes.items()
            },
            "connections": [_connection(one) for one in self.connections],
        }
        if self.runtime_config:
            found["runtime_config"] = dict(self.runtime_config)
        return found

    def to_json(self) -> str:
        """The serialised form as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_yaml(self) -> str:
        """The serialised form as YAML."""
        from nodeling.workflow import find_engine

        return find_engine().write_yaml(self.to_dict())

    def save(self, path: str | Path, format: str = "json") -> None:
        """Write the serialised form to a file."""
        if format not in ("json", "yaml"):
            raise ConfigError(f"`format` is json or yaml, not {format!r}", code="kailash.option")
        text = self.to_json() if format == "json" else self.to_yaml()
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_dict(cls, data: Values) -> Workflow:
        """A workflow from its serialised form, in either spelling.

        Raises:
            ConfigError: It has faults; all of them are listed.
        """
        judge(isinstance(data, Mapping), f"a serialised workflow is an object, not {data!r:.60}")
        draft = Draft(Source(str(data.get("name", "workflow")), "", dict(data)))
        graph = graph_of(data, draft)
        if draft.faults:
            said = "; ".join(fault.message for fault in draft.faults)
            raise ConfigError(said, code="kailash.faults", faults=draft.faults)
        made = cls(
            str(data.get("workflow_id") or graph.name),
            graph.name,
            graph.description,
            graph.version or "1.0.0",
            graph.author,
            data.get("metadata"),
        )
        made.runtime_config = dict(data.get("runtime_config") or {})
        for entry in graph.nodes.values():
            made.add_node(entry.id, entry.type, **entry.config)
        made.connections = list(graph.connections)
        return made

    def get_execution_order(self) -> list[str]:
        """The nodes, sources first."""
        return [step["name"] for step in self.prepare({}).native.document["steps"]]

    # -- running

    def prepare(self, parameters: Values, **more: Any) -> Prepared:
        """The native workflow, with what a run's parameters say.

        Args:
            parameters: Values by node and parameter; by parameter alone they go to every node that takes it.
            **more: Settings beside those of `runtime_config`.

        Raises:
            ConfigError: Something is wrong; all of it is listed.
        """
        draft = Draft(Source(self.workflow_id, ""))
        custom: dict[str, tuple[str, NodeType]] = {}
        definitions: dict[str, NodeDefinition] = {}
        entries: dict[str, NodeEntry] = {}
        for name, config in self._configured(parameters).items():
            one = self.nodes[name]
            kind = one.kind().name
            if one.is_custom:
                kind = f"{kind}:{name}"
                made = node(name=f"kailash-{len(definitions)}-of-{len(self.nodes)}")(implementation(one))
                definitions[made.name] = made
                custom[kind] = (made.name, one.kind())
            entries[name] = NodeEntry(name, kind, config, f"/nodes/{name}")
        limits = limits_of({**self.runtime_config, **more})
        document = document_of(self._graph(entries, limits), draft, custom)
        native = nodeling.Workflow.from_document(document)
        native.definitions.update(definitions)
        return Prepared(native, self._kinds(document), [fault.message for fault in draft.notes])

    def _kinds(self, document: dict[str, Any]) -> dict[str, NodeType]:
        """Where each node's outputs stand; those of code without a `result` are its variables."""
        kinds = {name: one.kind() for name, one in self.nodes.items()}
        for step in document["steps"]:
            inputs = step.get("inputs")
            if isinstance(inputs, dict) and isinstance(inputs.get("output"), list):
                kinds[step["name"]] = custom_type("PythonCodeNode")
        return kinds

    def _graph(self, entries: dict[str, NodeEntry], limits: Limits) -> Graph:
        return Graph(
            self.workflow_id,
            entries,
            self.connections,
            limits,
            self.description or self.name,
            self.version,
            self.author,
            self.metadata,
        )

    def _configured(self, parameters: Values) -> dict[str, dict[str, Any]]:
        configs = {name: dict(one.config) for name, one in self.nodes.items()}
        for key, value in parameters.items():
            if key in configs:
                if not isinstance(value, Mapping):
                    message = f"the parameters of node {key!r} are a dictionary, not {value!r:.40}"
                    raise ConfigError(message, code="kailash.parameter")
                configs[key].update(value)
                continue
            takers = [self.workflow_inputs[key]] if key in self.workflow_inputs else self._takers(key)
            if not takers:
                message = f"parameters name {key!r}, which is neither a node nor taken by one"
                raise ConfigError(message, code="kailash.parameter", hint=suggestion(key, configs))
            for name, target in takers:
                configs[name].setdefault(target, value)
        return configs

    def _takers(self, key: str) -> list[tuple[str, str]]:
        """The nodes that take a parameter that nothing is connected to."""
        fed = {one.target for one in self.connections if one.input == key}
        found = []
        for name, one in self.nodes.items():
            code = one.config.get("code") if not one.is_custom else None
            takes = key in one.get_parameters() or (isinstance(code, str) and key in free_names(code))
            if takes and name not in fed:
                found.append((name, key))
        return found

    def __repr__(self) -> str:
        return f"Workflow({self.workflow_id!r}, {len(self.nodes)} nodes)"


def judge(holds: Any, message: str, hint: str | None = None) -> None:
    """Refuse what is none, whatever its annotation says.

    Raises:
        ConfigError: It does not hold.
    """
    if not holds:
        raise ConfigError(message, code="kailash.shape", hint=hint)


def _pairs(mapping: Any) -> list[tuple[str, str]]:
    """The outputs of a mapping, each with the input that it goes into."""
    said = f"`mapping` is a dictionary of outputs and inputs, not {mapping!r:.60}"
    judge(isinstance(mapping, Mapping), said)
    for output, wanted in mapping.items():
        said = f"`mapping` brings {output!r:.40} into {wanted!r:.40}, and both are names"
        judge(all(isinstance(name, str) and name for name in (output, wanted)), said)
    return list(mapping.items())


def _made(node_id: str, said: Node | type[Node] | str, config: dict[str, Any]) -> Node:
    if isinstance(said, str):
        found = class_called(said)
        if found is None:
            hint = instead_of(said, known_types())
            raise ConfigError(f"no type of node is called {said!r}", code="kailash.node_type", hint=hint)
        said = found
    if isinstance(said, type) and issubclass(said, Node):
        return said(
            name=node_id, **{key: value for key, value in config.items() if key not in ("id", "name")}
        )
    what = f"{node_id!r} is a node, a class of nodes or the name of one, not {said!r:.60}"
    judge(isinstance(said, Node), what)
    if config:
        known = said.get_parameters()
        for key in config:
            if key not in known and not said.kind().takes_any:
                message = f"{said!r} has no parameter {key!r}"
                raise ConfigError(message, code="kailash.parameter", hint=suggestion(key, known))
        said.config.update(config)
    return said


def _connection(one: Connection) -> dict[str, Any]:
    found = {
        "source_node": one.source,
        "source_output": one.output,
        "target_node": one.target,
        "target_input": one.input,
    }
    return {key: value for key, value in found.items() if value is not None}
