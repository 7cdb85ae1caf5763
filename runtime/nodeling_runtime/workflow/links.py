"""Reading what a step waits for: `needs`, `join` and the step's own condition."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from nodeling_runtime.workflow.keys import LINK
from nodeling_runtime.workflow.model import ON_WORDS, Link
from nodeling_runtime.workflow.reading import Reading, brief


def read_links(
    reading: Reading, data: Mapping[str, Any], pointer: str, container: Container[str]
) -> dict[str, Any]:
    """The fields of a `Step` that say when it starts.

    Args:
        reading: The document under way.
        data: The step.
        pointer: Where it stands.
        container: The keys that belong to the step's container and are not read here.
    """
    out: dict[str, Any] = {}
    if "if" in data and "if" not in container:
        out["condition"] = reading.condition(data["if"], "`if`", f"{pointer}/if")
    if "needs" not in data:
        if "join" in data:
            hint = "write the steps it waits for under `needs`"
            reading.fault(
                "document.value", "`join` stands without `needs`", f"{pointer}/join", hint, key=True
            )
        return out
    value, place = data["needs"], f"{pointer}/needs"
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    if value is None:
        reading.fault("document.type", "`needs` is a list of steps, not null", place, "write [] for none")
        items = []
    found = [
        _link(reading, item, f"{place}/{i}" if isinstance(value, list) else place)
        for i, item in enumerate(items)
    ]
    links = out["links"] = tuple(link for link in found if link is not None)
    _refuse_twins(reading, links)
    if "join" in data:
        out["needed"] = _join(reading, data["join"], f"{pointer}/join", len(items))
    return out


def _refuse_twins(reading: Reading, links: Sequence[Link]) -> None:
    seen: set[str] = set()
    for link in links:
        if link.source in seen:
            hint = "use one link with a list of words under `on`"
            reading.fault("document.twice", f"`needs` names {link.source!r} twice", link.pointer, hint)
        seen.add(link.source)


def _link(reading: Reading, item: Any, pointer: str) -> Link | None:
    if isinstance(item, str):
        return Link(item, frozenset({"success"}), None, pointer)
    if not isinstance(item, dict):
        message = f"a link is a step's name or an object, not {brief(item)}"
        reading.fault("document.type", message, pointer, "write {step: …, on: …}")
        return None
    misspelt = reading.unknown_keys(item, LINK, "a link", pointer)
    condition = reading.condition(item["if"], "a link's `if`", f"{pointer}/if") if "if" in item else None
    on = _words(reading, item.get("on", "success"), f"{pointer}/on")
    source = item.get("step")
    if isinstance(source, str):
        return Link(source, on, condition, pointer)
    if "step" in item:
        reading.fault("document.type", f"a link's `step` is a name, not {brief(source)}", f"{pointer}/step")
    elif "step" not in misspelt:
        reading.fault("document.missing", "a link has no `step`", pointer, "write {step: …, on: …}")
    return None


def _words(reading: Reading, value: Any, pointer: str) -> frozenset[str]:
    if value == []:
        hint = f"it may name {', '.join(ON_WORDS)}"
        reading.fault("document.empty", "`on` names no status", pointer, hint)
    if not isinstance(value, list):
        return frozenset({reading.choice(value, ON_WORDS, "`on`", pointer, "success")})
    places = enumerate(value)
    return frozenset(
        reading.choice(word, ON_WORDS, "`on`", f"{pointer}/{i}", "success") for i, word in places
    )


def _join(reading: Reading, value: Any, pointer: str, links: int) -> int:
    if not isinstance(value, dict):
        word = reading.choice(value, ("all", "any"), "`join`", pointer, "all")
        return 1 if word == "any" and links else 0
    reading.unknown_keys(value, ("at_least",), "`join`", pointer)
    wanted = reading.count(value.get("at_least"), "`at_least`", f"{pointer}/at_least", 1)
    if wanted > max(links, 1):
        count = "1 link" if links == 1 else f"{links} links"
        message = f"`at_least: {wanted}` can never be met by {count}"
        reading.fault("document.value", message, f"{pointer}/at_least")
    return wanted
