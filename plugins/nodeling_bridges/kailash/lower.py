"""From a workflow of Kailash's to the steps of a native one. Pure.

A step waits for every node that a connection comes from. Behind a switch it waits until the branches are
decided, and runs when one of them has come; with `route_data` it runs in any case, with null for the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nodeling.errors import nearest
from nodeling_bridges.kailash.catalogue import CATALOGUE, ERROR, FIXED, NodeType, custom_type
from nodeling_bridges.kailash.draft import Draft, suggestion
from nodeling_bridges.kailash.elsewhere import instead_of
from nodeling_bridges.kailash.lower_nodes import HANDLING, LOWERINGS, Tools, from_request
from nodeling_bridges.kailash.model import ROUTE, Connection, Graph
from nodeling_bridges.kailash.order import cycles, sources_first
from nodeling_bridges.kailash.programs import mentioned
from nodeling_bridges.kailash.values import Given, reference

__all__ = ["Lowering"]

Step = dict[str, Any]
SWITCH, MERGE = "SwitchNode", "MergeNode"
_SETTLED = ["success", "skipped"]
_ANSWERED = ["success", "failure"]
_ENDED = ["success", "failure", "skipped"]


class Lowering:
    """One workflow on its way.

    Attributes:
        types: The type of each node.
        custom: Types beside the known ones, and the node of ours that stands for each.
    """

    def __init__(
        self, graph: Graph, draft: Draft, custom: Mapping[str, tuple[str, NodeType]] | None = None
    ) -> None:
        self.graph = graph
        self.draft = draft
        self.custom = dict(custom or {})
        self._broken: set[str] = set()  # what cannot be looked into, for a fault that has been told
        self.types = {name: self._type(entry.type, entry.pointer) for name, entry in graph.nodes.items()}
        self._broken.update(name for name, kind in self.types.items() if not self._is_known(kind))
        self.links = [one for one in graph.connections if self._is_sound(one)]
        self._broken.update(one.target for one in graph.connections if one not in self.links)
        self._tools = Tools(draft, graph.limits)
        self._into: dict[str, list[Connection]] = {name: [] for name in graph.nodes}
        for one in self.links:
            self._into[one.target].append(one)
        self._watched = {one.source for one in self.links if self._watches(one)}
        self._conditional: set[str] = set()

    def steps(self) -> list[Step]:
        """The steps, sources first; what is wrong is among the draft's faults."""
        edges = [(one.source, one.target) for one in self.links]
        circles = cycles(self.graph.nodes, edges)
        for circle in circles:
            back = next(one for one in self.links if (one.source, one.target) == (circle[-1], circle[0]))
            said = " → ".join([*circle, circle[0]])
            hint = "write what repeats as one PythonCodeNode, or as a native `while`"
            self.draft.fault("cycle", back.pointer, f"these nodes wait for one another: {said}", hint)
        for name in self.graph.nodes:
            self._judge_config(name)
        if circles:
            return []
        whole = [name for name in sources_first(self.graph.nodes, edges) if name not in self._broken]
        return [self._step(name) for name in whole]

    # -- what is sound

    def _type(self, name: str, pointer: str) -> NodeType:
        if name in self.custom:
            return self.custom[name][1]
        if name not in CATALOGUE:
            known = [*CATALOGUE, *self.custom]
            hint = f"{instead_of(name, known)}; or `--bind {name}=NODE`"
            place = pointer.removesuffix("/config").removesuffix("/parameters")
            self.draft.fault("node_type", place, f"no type of node is called {name!r}", hint)
            return custom_type(name)
        return CATALOGUE[name]

    def _is_known(self, kind: NodeType) -> bool:
        return kind.name in CATALOGUE or kind in [one for _, one in self.custom.values()]

    def _is_sound(self, one: Connection) -> bool:
        nodes = self.graph.nodes
        for end in (one.source, one.target):
            if end not in nodes:
                message = f"a connection names {end!r}, which is no node"
                self.draft.fault("connection", one.pointer, message, suggestion(end, nodes))
        if one.source not in nodes or one.target not in nodes:
            return False
        source, target = self.types[one.source], self.types[one.target]
        head = (one.output or source.main_output).partition(".")[0]
        if head not in source.outputs and not source.gives_any:
            message = f"{source.name} {one.source!r} has no output {head!r}"
            self.draft.fault("connection", one.pointer, message, suggestion(head, source.outputs))
            return False
        if one.input is not None and one.input not in target.parameters and not target.takes_any:
            message = f"{target.name} {one.target!r} has no input {one.input!r}"
            self.draft.fault("connection", one.pointer, message, suggestion(one.input, target.parameters))
            return False
        if one.input in FIXED and one.input in target.parameters and target.name in CATALOGUE:
            message = (
                f"{one.input!r} of {target.name} {one.target!r} is part of the workflow, and cannot arrive"
            )
            self.draft.fault("connection", one.pointer, message)
            return False
        return True

    def _watches(self, one: Connection) -> bool:
        """Whether somebody looks at how a request ended, so that its failure is a value like others."""
        if ERROR not in self.types[one.source].outputs.values():
            return False
        head = (one.output or "").partition(".")[0]
        return self.types[one.target].name == SWITCH or head in ("error", "success", "status_code")

    # -- steps

    def _step(self, name: str) -> Step:
        entry, kind = self.graph.nodes[name], self.types[name]
        given = Given(entry, kind)
        arrivals = self._arrivals(name)
        for target, found in arrivals.items():
            self._bring(given, target, found)
        if not self._is_soft(name) and kind.name != MERGE:
            given.there.clear()
        if kind.name not in self.custom:
            self._ask_for(given)
        made = self._lowered(given)
        step: Step = {"name": name, **made, "needs": self._needs(name)}
        when = self._when(name)
        if when is not None:
            step["if"] = f"${{{when}}}"
        if name in self._watched:
            step["on_error"] = "continue"
        if self.graph.limits.task_timeout is not None and made["node"] != "kailash-switch":
            step["timeout"] = f"{max(1, round(self.graph.limits.task_timeout))}ms"
        if any(self._may_not_come(one) for one in self._into[name]):
            self._conditional.add(name)
        return step

    def _lowered(self, given: Given) -> Step:
        lower = LOWERINGS.get(given.kind.name)
        if given.entry.type in self.custom:
            names = [*given.entry.config, *given.arriving]
            values = {name: given.value(name) for name in names}
            return {"node": self.custom[given.entry.type][0], "inputs": given.variables(values)}
        if lower is None:
            raise AssertionError(f"nothing lowers {given.kind.name}")
        return lower(given, self._tools)

    def _judge_config(self, name: str) -> None:
        entry, kind = self.graph.nodes[name], self.types[name]
        for key in entry.config:
            own = key in kind.parameters or key in ("id", "name")
            if not (own or (kind.takes_any and self._may_be_given(name, key))):
                message = f"{kind.name} {name!r} has no parameter {key!r}"
                self.draft.fault(
                    "parameter", f"{entry.pointer}/{key}", message, suggestion(key, kind.parameters)
                )

    def _may_be_given(self, name: str, key: str) -> bool:
        """Whether a node that takes inputs of any name can mean this one, and none that is nearly so."""
        kind, config = self.types[name], self.graph.nodes[name].config
        if kind.name == MERGE:
            return re.fullmatch(r"data\d+", key) is not None
        if kind.name not in ("PythonCodeNode", "DataTransformer"):
            return kind.name not in CATALOGUE or nearest(key, kind.parameters) is None
        said = config.get("code") or config.get("transformations") or ""
        texts = said if isinstance(said, list) else [said]
        names = [mentioned(text) for text in texts if isinstance(text, str)]
        return any(one is None or key in one for one in names)

    def _ask_for(self, given: Given) -> None:
        """Have the run's input give what is needed and nobody gives."""
        for name in given.kind.required:
            covered = name == "url" and given.has("base_url")
            twice = name == "connection_string" and given.has("database_url")
            if not (given.has(name) or covered or twice):
                given.arriving[name] = from_request(given.entry.id, name)[2:-1]

    # -- values

    def _arrivals(self, name: str) -> dict[str, list[Connection]]:
        """The connections into a node, by the input that each goes into."""
        found: dict[str, list[Connection]] = {}
        for one in self._into[name]:
            for output, target in self._ends(one):
                full = Connection(one.source, output, one.target, target, one.pointer)
                found.setdefault(target, []).append(full)
        return found

    def _ends(self, one: Connection) -> list[tuple[str, str]]:
        """Which outputs go into which inputs, where a connection does not say it."""
        source, target = self.types[one.source], self.types[one.target]
        if one.output is None and one.input is None and target.name == SWITCH and not source.gives_any:
            return [(output, output) for output in source.outputs]
        output = one.output or source.main_output
        if target.name == MERGE:
            return [(output, one.input or one.source)]
        return [(output, one.input or target.main_input)]

    def _bring(self, given: Given, target: str, found: list[Connection]) -> None:
        loose = [one for one in found if self._may_not_come(one)]
        texts = [self._reference(one, optional=len(found) > 1 or bool(loose)) for one in found]
        given.arriving[target] = texts[0] if len(texts) == 1 else f"({' ?? '.join(texts)})"
        if loose and len(loose) == len(found) and self.graph.limits.conditional_execution != ROUTE:
            given.there[target] = " || ".join(self._has_come(one) for one in found)

    def _reference(self, one: Connection, *, optional: bool) -> str:
        watched = one.source in self._watched
        handled = self.types[one.target].name == MERGE
        kind = self.types[one.source]
        return reference(
            one.source, kind, one.output or kind.main_output, optional=optional or watched or handled
        )

    # -- order

    def _is_branch(self, one: Connection) -> bool:
        head = (one.output or "").partition(".")[0]
        return self.types[one.source].name == SWITCH and head not in ("", "condition_result")

    def _may_not_come(self, one: Connection) -> bool:
        return self._is_branch(one) or one.source in self._conditional

    def _has_come(self, one: Connection) -> str:
        at = f"steps[{json.dumps(one.source, ensure_ascii=False)}]"
        if self._is_branch(one):
            head = json.dumps((one.output or "").partition(".")[0], ensure_ascii=False)
            return f"has({at}.output[{head}])"
        if self._watches(one):
            return f'{at}.status in ["succeeded", "failed"]'
        return f'{at}.status == "succeeded"'

    def _is_soft(self, name: str) -> bool:
        """Whether a node runs as soon as one of several branches has come."""
        return len({one.source for one in self._into[name] if self._may_not_come(one)}) > 1

    def _needs(self, name: str) -> list[Any]:
        handles = self._handles(name)
        found: dict[str, Any] = {}
        for one in self._into[name]:
            settled = one.source in self._conditional and (self._is_soft(name) or self._routes())
            if handles:
                found[one.source] = {"step": one.source, "on": _ENDED}
            elif one.source in self._watched and self._looks(name, one.source):
                found[one.source] = {"step": one.source, "on": _ENDED if settled else _ANSWERED}
            elif settled:
                found[one.source] = {"step": one.source, "on": _SETTLED}
            else:
                found[one.source] = one.source
        return list(found.values())

    def _looks(self, name: str, source: str) -> bool:
        """Whether a node looks at how a request ended, or only wants its answer."""
        return any(self._watches(one) for one in self._into[name] if one.source == source)

    def _handles(self, name: str) -> bool:
        if self.types[name].name != MERGE:
            return False
        config = self.graph.nodes[name].config
        return config.get("merge_strategy", config.get("merge_type")) in HANDLING

    def _routes(self) -> bool:
        return self.graph.limits.conditional_execution == ROUTE

    def _when(self, name: str) -> str | None:
        """The condition under which a node behind switches runs; None where its links say it all."""
        into = self._into[name]
        if self._routes() or not any(self._may_not_come(one) for one in into):
            return None
        if not self._is_soft(name) and not any(self._is_branch(one) for one in into):
            return None
        if self._handles(name) and not all(self._may_not_come(one) for one in into):
            return None
        said = dict.fromkeys(self._has_come(one) for one in into if self._may_not_come(one))
        return " || ".join(said)
