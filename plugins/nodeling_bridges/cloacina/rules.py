"""Trigger rules: when a task whose dependencies have all ended runs, and when it is skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.values import equal

Rule = dict[str, Any]
ALWAYS: Rule = {"type": "Always"}
OPERATORS = {
    "==": "Equals", "eq": "Equals", "equals": "Equals",
    "!=": "NotEquals", "ne": "NotEquals", "not_equals": "NotEquals",
    ">": "GreaterThan", "gt": "GreaterThan", "greater_than": "GreaterThan",
    "<": "LessThan", "lt": "LessThan", "less_than": "LessThan",
    "contains": "Contains", "not_contains": "NotContains", "exists": "Exists", "not_exists": "NotExists",
}  # fmt: skip
_STATES = {"TaskSuccess": "succeeded", "TaskFailed": "failed", "TaskSkipped": "skipped"}
_GROUPS = ("All", "Any", "None")


def always() -> Rule:
    """Run whatever came of the dependencies."""
    return dict(ALWAYS)


def task_success(task: str) -> Rule:
    """A task succeeded."""
    return {"type": "TaskSuccess", "task_name": task}


def task_failed(task: str) -> Rule:
    """A task failed."""
    return {"type": "TaskFailed", "task_name": task}


def task_skipped(task: str) -> Rule:
    """A task was skipped."""
    return {"type": "TaskSkipped", "task_name": task}


def context_value(key: str, operator: str, value: Any = None) -> Rule:
    """What the dependencies left under a key compares so."""
    word = OPERATORS.get(operator.lower(), operator)
    if word not in OPERATORS.values():
        raise ValueError(f"{operator!r} is no operator; there are {', '.join(sorted(OPERATORS))}")
    return {"type": "ContextValue", "key": key, "operator": word, "value": value}


def all_of(*conditions: Rule) -> Rule:
    """Every condition holds."""
    return {"type": "All", "conditions": list(conditions)}


def any_of(*conditions: Rule) -> Rule:
    """At least one holds."""
    return {"type": "Any", "conditions": list(conditions)}


def none_of(*conditions: Rule) -> Rule:
    """None holds."""
    return {"type": "None", "conditions": list(conditions)}


def checked(rule: Any) -> Rule:
    """A rule as it is kept; a bare condition is one that has to hold.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(rule, Mapping) or "type" not in rule:
        raise ValueError(f"{rule!r} is no trigger rule")
    kind = rule["type"]
    if kind == "Always":
        return dict(ALWAYS)
    if kind in _GROUPS:
        conditions = [_condition(one) for one in rule.get("conditions", ())]
        return {"type": kind, "conditions": conditions}
    return all_of(_condition(rule))


def _condition(rule: Any) -> Rule:
    kind = rule.get("type") if isinstance(rule, Mapping) else None
    if kind in _STATES and isinstance(rule.get("task_name"), str):
        return dict(rule)
    if kind == "ContextValue" and isinstance(rule.get("key"), str):
        return context_value(rule["key"], str(rule.get("operator", "")), rule.get("value"))
    if kind in _GROUPS:
        return checked(rule)
    raise ValueError(f"{rule!r} is no condition of a trigger rule")


def tasks_of(rule: Rule) -> list[str]:
    """The tasks that a rule names."""
    if "task_name" in rule:
        return [rule["task_name"]]
    return [task for one in rule.get("conditions", ()) for task in tasks_of(one)]


def holds(rule: Rule, states: Mapping[str, str], context: Mapping[str, Any]) -> bool:
    """Whether a rule holds, given how tasks ended and what their contexts hold."""
    kind = rule["type"]
    if kind == "Always":
        return True
    if kind in _STATES:
        return bool(states.get(rule["task_name"]) == _STATES[kind])
    if kind == "ContextValue":
        return _compares(rule, context)
    answers = [holds(one, states, context) for one in rule["conditions"]]
    if kind == "All":
        return all(answers)
    return any(answers) is bool(kind == "Any")


def _compares(rule: Rule, context: Mapping[str, Any]) -> bool:
    operator, wanted = str(rule["operator"]), rule["value"]
    present: bool = rule["key"] in context
    if operator in ("Exists", "NotExists"):
        return present is (operator == "Exists")
    held = context.get(rule["key"])
    if operator in ("Equals", "NotEquals"):
        return (present and equal(held, wanted)) is (operator == "Equals")
    if operator in ("Contains", "NotContains"):
        inside = isinstance(held, (list, dict, str)) and _contains(held, wanted)
        return inside is (operator == "Contains")
    if not present or not _are_ordered(held, wanted):
        return False
    return bool(held > wanted) if operator == "GreaterThan" else bool(held < wanted)


def _are_ordered(one: Any, other: Any) -> bool:
    """Whether one of two values can be greater: two numbers, or two texts."""
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    return any(isinstance(one, kind) and isinstance(other, kind) for kind in (str, (int, float)))


def _contains(held: Any, wanted: Any) -> bool:
    if isinstance(held, str):
        return isinstance(wanted, str) and wanted in held
    if isinstance(held, dict):
        return isinstance(wanted, str) and wanted in held
    return any(equal(one, wanted) for one in held)
