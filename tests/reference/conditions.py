"""What a condition, a link and a join say at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from reference.context import equal
from reference.model import Condition, Const, Json, Raises, StatusIs
from reference.rules import implicit_link_satisfied, satisfies
from reference.state import LinkState, StepState


class ConditionRaisedError(Exception):
    """The condition has no value."""


def evaluate(condition: Condition, steps: Mapping[str, StepState], seen: Mapping[str, Json]) -> bool:
    """The value of a condition now.

    Raises:
        ConditionRaisedError: The condition is one that raises.
    """
    if isinstance(condition, Const):
        return condition.value
    if isinstance(condition, Raises):
        raise ConditionRaisedError
    if isinstance(condition, StatusIs):
        return steps[condition.step].status == condition.status
    return condition.key in seen and equal(seen[condition.key], condition.value)


def evaluate_link(
    link: LinkState, steps: Mapping[str, StepState], trace: Counter[str]
) -> Literal["met", "unmet", "raised"]:
    """Decide a link whose source is terminal: first `on`, then `if`."""
    source = link.source
    if link.link is None:
        carried = implicit_link_satisfied(source.status, source.reason, source.spec.on_error_continue)
        trace[f"implicit.{'met' if carried else 'unmet'}"] += 1
        return "met" if carried else "unmet"
    words = {word: satisfies(word, source.status, source.reason) for word in link.link.on}
    for word, satisfied in words.items():
        trace[f"on.{word}.{'met' if satisfied else 'unmet'}"] += 1
    if len(words) > 1:
        trace["on.list"] += 1
    if not any(words.values()):
        return "unmet"
    if link.link.if_ is None:
        return "met"
    try:
        allowed = evaluate(link.link.if_, steps, source.base)
    except ConditionRaisedError:
        trace["link_if.raises"] += 1
        return "raised"
    trace[f"link_if.{str(allowed).lower()}"] += 1
    return "met" if allowed else "unmet"


def join_is_met(step: StepState) -> bool | None:
    """Whether the join is met; None while that is open."""
    states = [link.state for link in step.links]
    met = states.count("met")
    wanted = {"all": len(states), "any": min(1, len(states))}.get(str(step.spec.join), step.spec.join)
    if met >= int(wanted):
        return True
    return None if None in states else False


def ties(steps: Iterable[StepState]) -> list[str]:
    """The steps whose fate hung on the order of things inside one instant."""
    found = []
    for step in steps:
        if step.decided_ms is None:
            continue
        same = [other for other in step.ancestors if other.ended_ms == step.decided_ms]
        late = [other for other in same if other.ended_round >= step.decided_round]
        sources = [link for link in step.links if link.source in same]
        if late or (len(sources) > 1 and step.spec.join != "all"):
            found.append(f"{step.path} was decided while its ancestors were still ending")
    return found
