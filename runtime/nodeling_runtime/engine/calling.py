"""What is the same for every run of one step, found out when it is run for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodeling_runtime.blob_values import LARGEST_INLINE, may_refer
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.values import InvalidValue, Value
from nodeling_runtime.workflow.model import Step

if TYPE_CHECKING:
    from nodeling.implementation import Implementation
    from nodeling_runtime.workflow.plan import Plan


class Calling:
    """How one step's node is called: what needs no looking up, no evaluation and no check any more."""

    __slots__ = (
        "_is_looked_up",
        "_takes_output",
        "constant",
        "has_own_clock",
        "implementation",
        "is_container",
        "is_guarded",
        "is_inprocess",
        "spec",
        "takes_inputs",
        "takes_no_config",
        "timeout_ms",
    )

    def __init__(self, step: Step) -> None:
        spec = self.spec = step.spec
        self.is_container = spec.manifest.flow
        self.is_inprocess = spec.runs_in == "inprocess"
        self.is_guarded = (
            step.deadline_ms is not None
            or step.cache is not None
            or step.circuit is not None
            or step.on_lost is not None
            or (spec.manifest.runtime.concurrency is not None and not self.is_container)
        )
        self.takes_inputs = spec.inputs.is_valid
        self.has_own_clock = step.timeout_ms is not None or spec.timeout_ms is not None
        self.timeout_ms = _timeout(step.timeout_ms, spec.timeout_ms)
        # What a node in this process gave is a value already, and fits into memory.
        has_schema = spec.manifest.output not in (True, {})
        self._takes_output = spec.output.is_valid if self.is_inprocess and has_schema else None
        self.takes_no_config = not self.is_container and step.config is None and spec.config.is_valid({})
        self.constant = self._constant_inputs(step)
        self.implementation: Implementation | None = None  # what `direct` found
        self._is_looked_up = self.is_container or not self.is_inprocess

    def _constant_inputs(self, step: Step) -> Value | None:
        """The inputs, where no expression stands in them and the node's schema takes them."""
        if not self.takes_no_config or step.parameters:
            return None
        if step.inputs is not None and not step.inputs.is_constant:
            return None
        given = {} if step.inputs is None else step.inputs.constant
        try:
            value = Value.of(given)
        except InvalidValue:
            return None  # said when the step runs
        if may_refer(value.data) or value.size > LARGEST_INLINE:
            return None  # a file is one of a run
        return value if step.spec.inputs.is_valid(given) else None

    def takes(self, output: Value) -> bool:
        """Whether an output that lies in no file is one that a node in this process may give."""
        takes = self._takes_output
        return takes is None or takes(output.shared())

    def direct(self) -> Implementation | None:
        """The node's code, when one await calls it: it is loaded, on this loop, and asks for no context."""
        if not self._is_looked_up:
            self._look_up()
        return self.implementation

    def _look_up(self) -> None:
        from nodeling_runtime.dispatch.loading import loaded_implementation

        found = loaded_implementation(self.spec)
        if found is None:
            return  # the first call loads it, beside the loop
        self._is_looked_up = True
        if not found.takes_context and (
            found.kind == "async" or (found.kind == "sync" and not found.blocking)
        ):
            self.implementation = found


def _timeout(own: float | Template | None, most: float | None) -> float | None:
    """How long every attempt may take, where the step alone says it."""
    if own is None or isinstance(own, Template):
        return None
    return own if most is None else min(most, own)


def calling_of(plan: Plan, step: Step) -> Calling:
    """How a step's node is called, found out once for each workflow that is loaded: `plan.known` has it."""
    found = plan.known[step.index] = Calling(step)
    return found
