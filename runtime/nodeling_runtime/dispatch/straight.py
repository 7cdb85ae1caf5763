"""The shortest call there is: of code on this loop that asks for nothing but its inputs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from inspect import isawaitable
from types import MappingProxyType

from nodeling.implementation import Implementation
from nodeling_runtime.blob_values import RunBlobs
from nodeling_runtime.dispatch.base import Outcome
from nodeling_runtime.values import Value

NOTHING_WRITTEN: Mapping[str, bytes | None] = MappingProxyType({})


async def straight(implementation: Implementation, inputs: Value, blobs: RunBlobs) -> Outcome:
    """Run one attempt. What the code raises is its failure, as in any other call."""
    try:
        result = implementation.call(None, inputs.fresh())
        if implementation.kind == "async" or isawaitable(result):
            result = await result
        return Outcome(blobs.value_of(result), None, NOTHING_WRITTEN)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # whatever a node raises is the node's failure
        from nodeling_runtime.dispatch.inprocess import failure_of

        return Outcome(None, failure_of(error), NOTHING_WRITTEN)
