"""What a node is given and what it gave, each judged by the node's own schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
from nodeling_runtime.values import InvalidValue, Value, flat_value
from nodeling_runtime.workflow.model import Step

if TYPE_CHECKING:
    from nodeling_runtime.engine.calling import Calling
    from nodeling_runtime.engine.step import StepJob

NO_CONFIG: dict[str, Any] = {}  # never written to


def prepared(
    job: StepJob, calling: Calling, overrides: Mapping[str, Any] | None, overlay: Mapping[str, Any] | None
) -> tuple[dict[str, Any], Value]:
    """The config and the inputs of a step's node, the same for all attempts.

    Args:
        job: The step.
        calling: How its node is called.
        overrides: Inputs that the run's parameters set.
        overlay: Inputs that the container around it set.

    Raises:
        NodelingError: An expression fails, or a schema refuses what it gives.
    """
    step, spec = job.step, calling.spec
    config = NO_CONFIG
    try:
        if not calling.takes_no_config:
            config = {} if step.config is None else Value.of(step.config.evaluate(job.names)).fresh()
            refuse(spec.config.check(config), f"the config of {spec.name!r} is refused", 4002)
        given: Any = {} if step.inputs is None else step.inputs.evaluate(Names(job.view, job.part, True))
        if step.parameters or overrides or overlay:
            given = _laid_over(step, given, overrides, overlay)
        flat = flat_value(given) if calling.is_inprocess else None
        value: Value = job.engine.blobs.value_of(given) if flat is None else flat
        if isinstance(value, BlobValue):
            given = judgeable(spec.manifest.inputs, given)
        takes = calling.takes_inputs
        if not takes(given):
            refuse(spec.inputs.check(given), f"{spec.name!r} refuses its inputs", 4001)
        return config, value
    except BlobFault as fault:
        raise NodelingError(f"its inputs: {fault.message}", code=fault.code, hint=fault.hint) from fault
    except InvalidValue as error:
        raise NodelingError(f"the inputs are no JSON value: {error}", code=4001) from error


def _laid_over(
    step: Step, given: Any, overrides: Mapping[str, Any] | None, overlay: Mapping[str, Any] | None
) -> Any:
    value = to_plain(given)
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
