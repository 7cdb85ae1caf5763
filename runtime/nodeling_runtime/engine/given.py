"""What a node is given and what it gave, each judged by the node's own schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.errors import NodelingError
from nodeling_runtime.blob_values import BlobValue, RunBlobs
from nodeling_runtime.blobs import BlobFault
from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.engine.failure import fault_details, listed, refuse
from nodeling_runtime.engine.names import Names
from nodeling_runtime.engine.unread import judgeable
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.record import to_plain
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.values import InvalidValue, Value
from nodeling_runtime.workflow.model import Step


def prepared(
    step: Step,
    names: Names,
    blobs: RunBlobs,
    overrides: Mapping[str, Any] | None,
    overlay: Mapping[str, Any] | None,
    takes_no_config: bool = False,
) -> tuple[dict[str, Any], Value]:
    """The config and the inputs of a step's node, the same for all attempts.

    Args:
        step: The step.
        names: What its expressions may name.
        blobs: The files of the run.
        overrides: Inputs that the run's parameters set.
        overlay: Inputs that the container around it set.
        takes_no_config: It is known to have no config, and its node to be content with none.

    Raises:
        NodelingError: An expression fails, or a schema refuses what it gives.
    """
    spec = step.spec
    try:
        config: dict[str, Any] = {}
        if not takes_no_config:
            if step.config is not None:
                config = Value.of(step.config.evaluate(names)).fresh()
            refuse(spec.config.check(config), f"the config of {spec.name!r} is refused", 4002)
        given = _given(step, names, overrides, overlay)
        value = blobs.value_of(given)
        if isinstance(value, BlobValue):
            given = judgeable(spec.manifest.inputs, given)
        if not spec.inputs.is_valid(given):
            refuse(spec.inputs.check(given), f"{spec.name!r} refuses its inputs", 4001)
        return config, value
    except BlobFault as fault:
        raise NodelingError(f"its inputs: {fault.message}", code=fault.code, hint=fault.hint) from fault
    except InvalidValue as error:
        raise NodelingError(f"the inputs are no JSON value: {error}", code=4001) from error


def _given(
    step: Step, names: Names, overrides: Mapping[str, Any] | None, overlay: Mapping[str, Any] | None
) -> Any:
    value = {} if step.inputs is None else step.inputs.evaluate(names.keeping())
    if not (step.parameters or overrides or overlay):
        return value
    value = to_plain(value)
    if not isinstance(value, dict):
        raise NodelingError("its inputs are no object, so nothing can be laid over them", code=4001)
    return {**step.parameters, **value, **(overrides or {}), **(overlay or {})}


def judged(spec: NodeSpec, outcome: Outcome, blobs: RunBlobs) -> Outcome:
    """The outcome, a failure when the output is none that the node may give.

    An output that lies in a file is read only when there is a schema to judge it by.
    """
    if outcome.error is not None:
        return outcome
    if outcome.output is None:
        outcome.error = CallError(4006, "the node gave no output", "InvalidOutput", retryable=False)
        return outcome
    try:
        outcome.output = blobs.contained(outcome.output)
        if spec.manifest.output is True or spec.manifest.output == {}:
            return outcome
        found: Any
        if isinstance(outcome.output, BlobValue):
            found = judgeable(spec.manifest.output, outcome.output.surface())
        else:
            found = outcome.output.shared()
        faults = None if spec.output.is_valid(found) else spec.output.check(found)
    except (BlobFault, ExpressionError) as fault:
        outcome.error = _unreadable(spec, fault)
        outcome.output = None
        return outcome
    if faults:
        message = f"{spec.name!r} gave an output its schema refuses: {listed(faults)}"
        outcome.error = CallError(4006, message, "InvalidOutput", False, details=fault_details(faults))
        outcome.output = None
    return outcome


def _unreadable(spec: NodeSpec, fault: NodelingError) -> CallError:
    if fault.code == 4005:
        message, kind = f"the output of {spec.name!r}: {fault.message}", "PayloadTooLarge"
        return CallError(4005, message, kind, retryable=False)
    message = f"{spec.name!r} gave an output that cannot be read: {fault.message}"
    return CallError(4006, message, "InvalidOutput", retryable=False)
