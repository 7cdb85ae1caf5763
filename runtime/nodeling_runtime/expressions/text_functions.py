"""Built-in functions on text, and between text and other values.

None of them uses a regular expression on data: matching is linear or paid for, so no text can stall a run.
"""

from __future__ import annotations

import json
import re
from typing import Any

from nodeling_runtime.expressions.budget import MAX_INTEGER, MAX_VALUE_DEPTH, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.function_table import ExpressionFunction, need
from nodeling_runtime.expressions.operators import contains, measure, type_error, type_name

__all__ = ["TEXT_FUNCTIONS", "to_json_text", "to_text"]

STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}
INTEGER = {"type": "integer"}

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def to_json_text(value: Any, budget: Budget) -> str:
    """Compact JSON; the size is paid for before the text is made."""
    measure(value, budget)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_text(value: Any, budget: Budget) -> str:
    """A value inside text: strings as they are, everything else as JSON."""
    if value.__class__ is str:
        return str(value)
    return to_json_text(value, budget)


def string(budget: Budget, value: Any) -> str:
    return to_text(value, budget)


def has_part(budget: Budget, value: Any, part: Any) -> bool:
    if value.__class__ is dict:
        raise type_error("contains needs a list or a string, not a map", None, "use key in map")
    return contains(part, value, budget)


def starts_with(value: Any, part: Any) -> bool:
    return bool(need("string", value, "startsWith").startswith(need("string", part, "startsWith")))


def ends_with(value: Any, part: Any) -> bool:
    return bool(need("string", value, "endsWith").endswith(need("string", part, "endsWith")))


def lower(value: Any) -> str:
    return str(need("string", value, "lower").lower())


def upper(value: Any) -> str:
    return str(need("string", value, "upper").upper())


def trim(value: Any) -> str:
    return str(need("string", value, "trim").strip())


def split(budget: Budget, value: Any, separator: Any) -> list[str]:
    text, mark = need("string", value, "split"), need("string", separator, "split")
    if not mark:
        budget.spend(len(text))
        return list(text)
    budget.spend(text.count(mark) + 1)
    parts: list[str] = text.split(mark)
    return parts


def join(budget: Budget, value: Any, separator: Any = "") -> str:
    mark = need("string", separator, "join")
    parts: list[str] = []
    for item in need("list", value, "join"):
        if item is None or item.__class__ in (list, dict):
            raise type_error(
                f"join needs strings, numbers or booleans, not a {type_name(item)}",
                None,
                "map the list to texts first",
            )
        parts.append(to_text(item, budget))
    budget.write(sum(map(len, parts)) + len(mark) * max(len(parts) - 1, 0))
    return str(mark.join(parts))


def replace(budget: Budget, value: Any, old: Any, new: Any) -> str:
    text, before, after = (need("string", part, "replace") for part in (value, old, new))
    if not before:
        raise ExpressionError("replace needs something to look for", code="expr.value")
    budget.write(max(len(text) + text.count(before) * (len(after) - len(before)), 0))
    return str(text.replace(before, after))


def substring(value: Any, start: Any, end: Any = None) -> str:
    text = need("string", value, "substring")
    first = need("integer", start, "substring")
    last = len(text) if end is None else need("integer", end, "substring")
    if not 0 <= first <= last <= len(text):
        raise ExpressionError(
            f"substring({first}, {last}) is outside a string of {len(text)}",
            code="expr.index",
            hint="a slice stops at the ends: s[a:b]",
        )
    return str(text[first:last])


def glob(budget: Budget, value: Any, pattern: Any) -> bool:
    """`*` stands for any text and `?` for one character; every comparison is a step."""
    text, mask = need("string", value, "glob"), need("string", pattern, "glob")
    at = place = 0
    star, resume = -1, 0
    while at < len(text):
        budget.steps_left -= 1
        if budget.steps_left < 0:
            budget.spend(0)
        if place < len(mask) and mask[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(mask) and (mask[place] == "?" or mask[place] == text[at]):
            place += 1
            at += 1
        elif star >= 0:
            place, resume = star + 1, resume + 1
            at = resume
        else:
            return False
    return not mask[place:].strip("*")


def parse_json(value: Any) -> Any:
    text = need("string", value, "parseJson")
    if _nesting(text) > MAX_VALUE_DEPTH:
        raise ExpressionError(f"the JSON nests deeper than {MAX_VALUE_DEPTH} levels", code="expr.value")
    try:
        found = json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_decimal)
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        if isinstance(error, UnicodeError):
            raise ExpressionError("the JSON holds half of a surrogate pair", code="expr.value") from None
        raise ExpressionError(f"the text is not JSON: {error}", code="expr.value") from None
    return found


def _nesting(text: str) -> int:
    depth = deepest = 0
    for character in _JSON_STRING.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError(f"the integer {digits[:40]} is beyond ±{MAX_INTEGER}")
    return int(digits)


def _decimal(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _function(
    name: str, call: Any, low: int, high: int, signature: str, doc: str, **more: Any
) -> ExpressionFunction:
    return ExpressionFunction(name, call, low, high, doc, signature=signature, owner="nodeling", **more)


TEXT_FUNCTIONS = (
    _function(
        "string",
        string,
        1,
        1,
        "string(x)",
        "A value as text: strings as they are, all else as JSON.",
        returns_schema=STRING,
        budgeted=True,
    ),
    _function(
        "contains",
        has_part,
        2,
        2,
        "contains(x, part)",
        "Whether a string or a list holds something.",
        returns_schema=BOOLEAN,
        budgeted=True,
    ),
    _function(
        "startsWith",
        starts_with,
        2,
        2,
        "startsWith(s, part)",
        "Whether a string begins so.",
        returns_schema=BOOLEAN,
    ),
    _function(
        "endsWith", ends_with, 2, 2, "endsWith(s, part)", "Whether a string ends so.", returns_schema=BOOLEAN
    ),
    _function("lower", lower, 1, 1, "lower(s)", "The string in lower case.", returns_schema=STRING),
    _function(
        "lowerAscii",
        lambda s: _ascii(s, lower, "lowerAscii"),
        1,
        1,
        "lowerAscii(s)",
        "Lower case for A to Z only.",
        returns_schema=STRING,
    ),
    _function("upper", upper, 1, 1, "upper(s)", "The string in upper case.", returns_schema=STRING),
    _function(
        "upperAscii",
        lambda s: _ascii(s, upper, "upperAscii"),
        1,
        1,
        "upperAscii(s)",
        "Upper case for a to z only.",
        returns_schema=STRING,
    ),
    _function(
        "trim", trim, 1, 1, "trim(s)", "The string without white space at its ends.", returns_schema=STRING
    ),
    _function(
        "split",
        split,
        2,
        2,
        "split(s, separator)",
        'The parts between separators; with "" the characters.',
        returns_schema={"type": "array", "items": STRING},
        budgeted=True,
    ),
    _function(
        "join",
        join,
        1,
        2,
        "join(xs, separator?)",
        "Strings, numbers and booleans as one string.",
        returns_schema=STRING,
        budgeted=True,
    ),
    _function(
        "replace",
        replace,
        3,
        3,
        "replace(s, old, new)",
        "Every occurrence replaced.",
        returns_schema=STRING,
        budgeted=True,
    ),
    _function(
        "substring",
        substring,
        2,
        3,
        "substring(s, start, end?)",
        "Part of a string; outside is an error.",
        returns_schema=STRING,
    ),
    _function(
        "glob",
        glob,
        2,
        2,
        "glob(s, pattern)",
        "Whether the whole string fits; `*` any text, `?` one character.",
        returns_schema=BOOLEAN,
        budgeted=True,
    ),
    _function(
        "toJson",
        lambda budget, x: to_json_text(x, budget),
        1,
        1,
        "toJson(x)",
        "A value as compact JSON.",
        returns_schema=STRING,
        budgeted=True,
    ),
    _function("parseJson", parse_json, 1, 1, "parseJson(s)", "The value that a JSON text stands for."),
)


def _ascii(value: Any, change: Any, name: str) -> str:
    text = need("string", value, name)
    if text.isascii():
        return str(change(text))
    return "".join(change(character) if character.isascii() else character for character in text)
