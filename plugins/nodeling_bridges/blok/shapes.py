"""The shapes of control flow of the second generation: branches, loops, `tryCatch`, `wait`, `subworkflow`."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodeling_bridges.blok.common import (
    NAMING,
    PLAIN,
    TRYING,
    idempotent,
    plain_keys,
    spread,
    trying_keys,
    without_cache,
)

if TYPE_CHECKING:
    from nodeling_bridges.blok.steps import Steps

__all__ = ["SHAPES"]

Step = dict[str, Any]


def _opened(
    steps: Steps, data: Step, shape: str, keys: tuple[str, ...], pointer: str
) -> tuple[Step, Step, str]:
    """A new step, what its shape says, and where."""
    found = plain_keys(steps.draft, data, pointer)
    steps.draft.strangers(data, (*PLAIN, shape), pointer, f"this {shape}")
    place = f"{pointer}/{shape}"
    given = steps.draft.mapping(data[shape], place, f"`{shape}`")
    steps.draft.strangers(given, keys, place, f"`{shape}`")
    return found, given, place


def _branch(steps: Steps, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
    found, given, place = _opened(steps, data, "branch", ("when", "then", "else"), pointer)
    found["node"] = "if-else"
    found["if"] = steps.values.condition(steps.draft.text(given, "when", place, "a branch"))
    steps.draft.place(f"{target}/if", f"{place}/when")
    for key in ("then", "else"):
        if given.get(key):
            at, to = f"{place}/{key}", f"{target}/{key}"
            found[key] = steps.scope(given[key], at, to, f"`{key}`", is_last=is_last)
    return [found]


def _switch(steps: Steps, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
    found, given, place = _opened(steps, data, "switch", ("on", "cases", "default"), pointer)
    found.update(node="switch", on=_script(steps, given.get("on"), f"{place}/on", f"{target}/on"), cases=[])
    for index, (case, at) in enumerate(steps.draft.steps(given.get("cases"), f"{place}/cases", "`cases`")):
        to = f"{target}/cases/{index}"
        when = steps.values.value(case.get("when"), f"{at}/when", f"{to}/when")
        do = steps.scope(case.get("do"), f"{at}/do", f"{to}/do", "`do`", is_last=is_last)
        found["cases"].append({"when": when, "do": do})
    if given.get("default"):
        at, to = f"{place}/default", f"{target}/default"
        found["default"] = steps.scope(given["default"], at, to, "`default`", is_last=is_last)
    return [found]


def _for_each(steps: Steps, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
    found, given, place = _opened(steps, data, "forEach", ("in", "as", "mode", "concurrency", "do"), pointer)
    item = str(given.get("as", "item"))
    is_parallel = given.get("mode") == "parallel"
    found.update(node="for-each", strategy="parallel" if is_parallel else "sequential")
    found["in"] = _script(steps, given.get("in"), f"{place}/in", f"{target}/in")
    if is_parallel:
        found["max_concurrent"] = given.get("concurrency", 10)
    known: Step = {item: "${item}", f"{item}Index": "${index}"}
    found["do"] = _round(steps, found["name"], known, given.get("do"), f"{place}/do", f"{target}/do")
    return [found]


def _loop(steps: Steps, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
    found, given, place = _opened(steps, data, "loop", ("while", "maxIterations", "do"), pointer)
    text, index = steps.draft.text(given, "while", place, "a loop"), f"{data.get('id')}Index"
    known: Step = {index: "${iteration}"}
    if index in text:
        text, known = _counted(steps, text, index, f"{place}/while")
    found.update(node="while")
    found["while"] = steps.values.condition(text)
    steps.draft.place(f"{target}/while", f"{place}/while")
    if "maxIterations" in given:
        found["max_iterations"] = given["maxIterations"]
    found["do"] = _round(steps, found["name"], known, given.get("do"), f"{place}/do", f"{target}/do")
    return [found]


def _counted(steps: Steps, text: str, index: str, place: str) -> tuple[str, Step]:
    """A loop's condition that reads the number of its round, which is asked before the round begins."""
    following, name = f"{index}-next", re.escape(index)
    member = rf"(?:\.\s*{name}\b|\[\s*(?:'{name}'|\"{name}\")\s*\])"
    text = re.sub(
        rf"\b(?:ctx\s*\.\s*(?:state|vars)|vars)\s*{member}", f'(ctx.vars["{following}"] ?? 0)', text
    )
    if re.search(rf"\b{name}\b(?!-next)", text):
        message = f"the condition of a loop reads {index!r} in a way that cannot be followed"
        steps.draft.fault("loop", place, message, f"write ctx.state.{index}")
    steps.counts.append(following)
    return text, {index: "${iteration}", following: "${iteration + 1}"}


def _round(steps: Steps, name: str, known: Step, given: Any, place: str, target: str) -> list[Step]:
    """The body of a loop, behind a step that says what the loop counts and holds."""
    steps.stops.enter_loop()
    outside = len(steps.counts)
    body = steps.scope(given, place, target, "`do`", is_last=False)
    inner = dict.fromkeys(steps.counts[outside:], 0)  # loops inside count anew in each round
    return [_published(steps, name, {**known, **inner, **steps.stops.leave_loop()}), *body]


def _published(steps: Steps, name: str, values: Step) -> Step:
    """What a loop counts and holds stands in the context, as Blok has it."""
    return {
        "name": steps.draft.unique(f"{name}-item"),
        "node": "blok-publish",
        "inputs": {"values": values},
    }


def _try(steps: Steps, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
    found, given, place = _opened(steps, data, "tryCatch", ("try", "catch", "finally"), pointer)
    found["node"] = "try"
    for key in ("try", "catch", "finally"):
        if given.get(key):
            found[key] = steps.scope(
                given[key], f"{place}/{key}", f"{target}/{key}", f"`{key}`", is_last=False
            )
    return [found]


def _wait(steps: Steps, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
    found = plain_keys(steps.draft, data, pointer)
    steps.draft.strangers(data, (*PLAIN, *NAMING, "wait"), pointer, "this wait")
    given = steps.draft.mapping(data["wait"], f"{pointer}/wait", "`wait`")
    steps.draft.strangers(given, ("for", "until"), f"{pointer}/wait", "`wait`")
    found["node"] = "timer"
    for key in ("for", "until"):
        if key in given:
            value = _moment(steps, given[key], f"{pointer}/wait/{key}") if key == "until" else given[key]
            found[key] = steps.values.value(value, f"{pointer}/wait/{key}", f"{target}/{key}")
    return [found]


def _moment(steps: Steps, value: Any, pointer: str) -> Any:
    """Milliseconds since the epoch as a moment; a text stays as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    try:
        return datetime.datetime.fromtimestamp(value / 1000, datetime.UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        steps.draft.fault("shape", pointer, f"{value} milliseconds are no moment of this calendar")
        return ""


def _subworkflow(steps: Steps, data: Step, pointer: str, target: str, is_last: bool) -> list[Step]:
    draft = steps.draft
    found = plain_keys(draft, data, pointer)
    known = ("subworkflow", "inputs", "wait", "allowList", "dispatch", *PLAIN, *NAMING, *TRYING)
    draft.strangers(data, known, pointer, "this subworkflow")
    trying_keys(draft, data, pointer, found)
    name = draft.text(data, "subworkflow", pointer, "a step")
    if name.startswith("js/") or "${" in name:
        hint = "write a `switch` over the workflows that it may be"
        draft.fault(
            "subworkflow",
            f"{pointer}/subworkflow",
            "which workflow is run is decided before the run",
            hint,
        )
    if data.get("wait") is False:
        message = "a subworkflow that nobody waits for does not exist here: this step would wait"
        draft.fault("subworkflow", f"{pointer}/wait", message, "start it as a run of its own, or wait for it")
    for key in ("allowList", "dispatch"):
        if key in data:
            draft.note("subworkflow", f"{pointer}/{key}", f"`{key}` says nothing here: the file is named")
    idempotent(draft, data, pointer, found, steps.values, target)
    found.update(node="subworkflow", workflow=draft.wishes.bindings.get(name, f"{name}.json"))
    inputs = data.get("inputs", {})
    found["inputs"] = steps.values.value(inputs, f"{pointer}/inputs", f"{target}/inputs")
    return spread(draft, data, without_cache(draft, data, pointer, found))


def _script(steps: Steps, given: Any, pointer: str, target: str) -> Any:
    """A value that is JavaScript where it is a text without a mark."""
    if isinstance(given, str) and not given.startswith("js/") and "${" not in given:
        steps.draft.place(target, pointer)
        return f"js/{steps.values.javascript(given)}"
    return steps.values.value(given, pointer, target)


_Shape = Callable[["Steps", Step, str, str, bool], list[Step]]
SHAPES: dict[str, _Shape] = {
    "branch": _branch,
    "switch": _switch,
    "forEach": _for_each,
    "loop": _loop,
    "tryCatch": _try,
    "wait": _wait,
    "subworkflow": _subworkflow,
}
