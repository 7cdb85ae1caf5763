"""Reading what guards a step's calls: circuit breakers, outputs that may be taken over, what is lost."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.workflow.keys import CACHE, CIRCUIT
from nodeling_runtime.workflow.model import Cache, Circuit
from nodeling_runtime.workflow.reading import Reading, brief


def read_guards(
    reading: Reading, data: Mapping[str, Any], pointer: str, container: Container[str], spec: NodeSpec
) -> dict[str, Any]:
    """The fields of a `Step` that say when its node is not called.

    Args:
        reading: The document under way.
        data: The step.
        pointer: Where it stands.
        container: The keys that belong to the step's container and are not read here.
        spec: The step's node.
    """
    out: dict[str, Any] = {}
    for key, name, read in GUARDS:
        if key not in data or key in container:
            continue
        place = f"{pointer}/{key}"
        out[name] = read(reading, data[key], place)
        if spec.manifest.flow:
            message = f"`{key}` is about calls of a node, and {spec.name!r} is a container"
            reading.fault("document.guard", message, place, "set it on its children", key=True)
        elif key == "cache" and spec.manifest.effects == "unsafe" and not out[name].any_inputs:
            message = f"{spec.name!r} has effects that must happen each time, so nothing is taken over for it"
            hint = "leave `cache` out, or say by a `key` and `any_inputs: true` which call is the same one"
            reading.fault("document.guard", message, place, hint, key=True)
    return out


def _on_lost(reading: Reading, value: Any, pointer: str) -> str:
    return reading.choice(value, ("again", "fail"), "`on_lost`", pointer, "again")


def _circuit(reading: Reading, value: Any, pointer: str) -> Circuit:
    data = reading.mapping(value, "`circuit`", pointer)
    reading.unknown_keys(data, CIRCUIT, "`circuit`", pointer)
    found: dict[str, Any] = {}
    if "failures" in data:
        found["failures"] = reading.count(data["failures"], "`failures`", f"{pointer}/failures", 1)
    for key, name in (("window", "window_ms"), ("cooldown", "cooldown_ms")):
        duration = reading.duration(data[key], f"{pointer}/{key}") if key in data else None
        if duration is not None:
            found[name] = duration
    return Circuit(**found)


def _cache(reading: Reading, value: Any, pointer: str) -> Cache:
    if value is True:
        return Cache()
    if not isinstance(value, dict):
        message = f"`cache` is true or an object of {', '.join(CACHE)}, not {brief(value)}"
        reading.fault("document.type", message, pointer, "write {ttl: 1h}")
        return Cache()
    reading.unknown_keys(value, CACHE, "`cache`", pointer)
    key = reading.template(value["key"], f"{pointer}/key") if "key" in value else None
    ttl = reading.duration(value["ttl"], f"{pointer}/ttl") if "ttl" in value else None
    alone = f"{pointer}/any_inputs"
    any_inputs = reading.boolean(value.get("any_inputs", False), "`any_inputs`", alone, False)
    if any_inputs and key is None:
        message = "`any_inputs` leaves the key alone to say which output it is, and there is no `key`"
        reading.fault("document.value", message, alone, "give a `key`", key=True)
    return Cache(key, ttl, any_inputs)


GUARDS: tuple[tuple[str, str, Callable[[Reading, Any, str], Any]], ...] = (
    ("circuit", "circuit", _circuit),
    ("cache", "cache", _cache),
    ("on_lost", "on_lost", _on_lost),
)
