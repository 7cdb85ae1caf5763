"""What a node is given and what it gave, each judged by the node's own schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.errors import NodelingError
from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.engine.failure import fault_details, listed, refuse
from nodeling_runtime.engine.names import Names
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.values import InvalidValue, Value
from nodeling_runtime.workflow.model import Step

LARGEST_INLINE = 16 * 2**20


def prepared(
    step: Step, names: Names, overrides: Mapping[str, Any] | None, overlay: Mapping[str, Any] | None
) -> tuple[dict[str, Any], Value]:
    """The config and the inputs of a step's node, the same for all attempts.

    Args:
        step: The step.
        names: What its expressions may name.
        overrides: Inputs that the run's parameters set.
        overlay: Inputs that the container around it set.

    Raises:
        NodelingError: An expression fails, or a schema refuses what it gives.
    """
    spec = step.spec
    try:
        config = {} if step.config is None else Value.of(step.config.evaluate(names)).fresh()
        refuse(spec.config.check(config), f"the config of {spec.name!r} is refused", 4002)
        given = _given(step, names, overrides, overlay)
        refuse(spec.inputs.check(given), f"{spec.name!r} refuses its inputs", 4001)
        value = Value.of(given)
        if value.size > LARGEST_INLINE:
            raise NodelingError(f"the inputs are {too_large(value)}", code=4005)
        return config, value
    except InvalidValue as error:
        raise NodelingError(f"the inputs are no JSON value: {error}", code=4001) from error


def too_large(value: Value) -> str:
    """How much larger a value is than may travel."""
    return f"{value.size / 2**20:.1f} MiB, more than the {LARGEST_INLINE // 2**20} MiB that a value may have"


def _given(
    step: Step, names: Names, overrides: Mapping[str, Any] | None, overlay: Mapping[str, Any] | None
) -> Any:
    value = {} if step.inputs is None else step.inputs.evaluate(names)
    if not (step.parameters or overrides or overlay):
        return value
    if not isinstance(value, dict):
        raise NodelingError("its inputs are no object, so nothing can be laid over them", code=4001)
    return {**step.parameters, **value, **(overrides or {}), **(overlay or {})}


def judged(spec: NodeSpec, outcome: Outcome) -> Outcome:
    """The outcome, a failure when the output is none that the node may give."""
    if outcome.error is not None:
        return outcome
    if outcome.output is None:
        outcome.error = CallError(4006, "the node gave no output", "InvalidOutput", retryable=False)
        return outcome
    if outcome.output.size > LARGEST_INLINE:
        message = f"the output of {spec.name!r} is {too_large(outcome.output)}"
        outcome.error = CallError(4005, message, "PayloadTooLarge", retryable=False)
        outcome.output = None
        return outcome
    if spec.manifest.output is True:
        return outcome
    faults = spec.output.check(outcome.output.shared())
    if faults:
        message = f"{spec.name!r} gave an output its schema refuses: {listed(faults)}"
        outcome.error = CallError(4006, message, "InvalidOutput", False, details=fault_details(faults))
        outcome.output = None
    return outcome
