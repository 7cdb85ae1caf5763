"""What every step may say beside its shape: when it runs, what it is called, how often it is tried."""

from __future__ import annotations

from typing import Any

from nodeling_bridges.blok.draft import Draft
from nodeling_bridges.blok.values import Values

__all__ = [
    "NAMING",
    "PLAIN",
    "TRYING",
    "idempotent",
    "plain_keys",
    "spread",
    "trying_keys",
    "without_cache",
]

PLAIN = ("id", "name", "description", "ui", "active", "stop")
NAMING = ("as", "spread", "ephemeral", "set_var")
TRYING = ("idempotencyKey", "idempotencyKeyTTL", "retry", "maxDuration")
_RETRY = ("maxAttempts", "minTimeoutInMs", "maxTimeoutInMs", "factor", "nonRetryableErrorNames")
_FIRST_DELAY, _LONGEST_DELAY, _FACTOR = 1_000, 30_000, 2
_KEY_HOLDS = "24h"
CALLLESS = ("if-else", "parallel", "sequence", "subworkflow", "try", "validate")

Step = dict[str, Any]
TOP = 2  # the parts of a pointer to a step that stands in no other


def idempotent(draft: Draft, data: Step, pointer: str, found: Step, values: Values, target: str) -> None:
    """What a step gave under a key is what it gives under that key, for a time."""
    if "idempotencyKey" not in data:
        if "idempotencyKeyTTL" in data:
            place = f"{pointer}/idempotencyKeyTTL"
            draft.note("idempotency", place, "`idempotencyKeyTTL` says nothing without an `idempotencyKey`")
        return
    key = values.value(data["idempotencyKey"], f"{pointer}/idempotencyKey", f"{target}/cache/key/2")
    ttl = data.get("idempotencyKeyTTL", _KEY_HOLDS)
    found["cache"] = {"key": [draft.workflow, found["name"], key], "ttl": ttl, "any_inputs": True}


def without_cache(draft: Draft, data: Step, pointer: str, found: Step) -> Step:
    """The step, told of where its key would be about no call of a node."""
    if found.get("node") in CALLLESS and found.pop("cache", None) is not None:
        message = "`idempotencyKey` is about a node's call, and this step calls none by itself"
        draft.note("idempotency", f"{pointer}/idempotencyKey", message, "set it on the steps inside")
    return found


def plain_keys(draft: Draft, data: Step, pointer: str) -> Step:
    """The new step: its name, its description, whether it runs."""
    name = draft.text(data, "id" if "id" in data else "name", pointer, "a step")
    # In Blok every output is seen everywhere; here one from inside a container leaves it as a variable, as
    # does that of a name that several steps bear, and a variable does not bear the name of a step.
    leaves = name in draft.read and (pointer.count("/") > TOP or name in draft.repeated)
    found: Step = {"name": draft.unique(f"{name}-step" if leaves else name or "step")}
    if isinstance(data.get("description"), str) and data["description"]:
        found["description"] = data["description"]
    if "ui" in data:
        draft.ui[found["name"]] = data["ui"]
    if data.get("active") is False:
        found["active"] = False
    _naming(draft, data, pointer, found, name)
    return found


def _naming(draft: Draft, data: Step, pointer: str, found: Step, name: str) -> None:
    """Under which key of the context the output stands."""
    is_read = found["name"] != name and name in draft.read
    if draft.is_first:
        if isinstance(data.get("set_var"), bool):
            found["set_var"] = data["set_var"]
            if data["set_var"] and is_read:
                found["set_var"] = name
    elif "set_var" in data:
        hint = "every output is kept; for `false` write `ephemeral: true`"
        draft.fault("set_var", f"{pointer}/set_var", "`set_var` is of the first generation", hint)
    if isinstance(data.get("as"), str):
        found["set_var"] = data["as"]
    elif data.get("ephemeral") is True:
        found["set_var"] = False
    elif is_read:  # what reads the output goes by the name in Blok
        found.setdefault("set_var", name)


def trying_keys(draft: Draft, data: Step, pointer: str, found: Step) -> None:
    """Retries and the time of one attempt."""
    if "maxDuration" in data:
        found["timeout"] = data["maxDuration"]
    retry = draft.mapping(data.get("retry", {}), f"{pointer}/retry", "`retry`")
    if retry:
        draft.strangers(retry, _RETRY, f"{pointer}/retry", "`retry`")
        found["retry"] = {
            "attempts": retry.get("maxAttempts", 1),
            "delay": retry.get("minTimeoutInMs", _FIRST_DELAY),
            "max_delay": retry.get("maxTimeoutInMs", _LONGEST_DELAY),
            "factor": retry.get("factor", _FACTOR),
            "jitter": "none",
        }
        if retry.get("nonRetryableErrorNames"):
            found["retry"]["unless"] = retry["nonRetryableErrorNames"]


def spread(draft: Draft, data: Step, found: Step) -> list[Step]:
    """The step that puts the members of an output into the context, for a step that spreads it."""
    if data.get("spread") is not True:
        return [found]
    name = found["name"]
    output = f'${{steps["{name}"].output}}'
    publish = {
        "name": draft.unique(f"{name}-spread"),
        "node": "blok-publish",
        "inputs": {"values": output, "gives": output},
    }
    return [found, publish]
