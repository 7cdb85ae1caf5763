"""Values of Blok's documents: `js/…`, `${…}`, `$ref` and `$tpl` as expressions here, the rest as it is.

Strict where Blok's first mapper was not: what does not resolve is an error of the step, never a literal
that is passed on, and never the word `undefined` inside a text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nodeling_bridges.blok.draft import Draft, escaped
from nodeling_bridges.blok.javascript import Member, renamed, resolved

__all__ = ["Values", "path"]

_PART = re.compile(r"\$\{(.*?)\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORDS = frozenset({"in", "true", "false", "null"})
_PATH = re.compile(
    r"""\s*[A-Za-z_$][\w$]*(?:\s*\.\s*[A-Za-z_$][\w$]*|\[\s*(?:'[^'\\]*'|"[^"\\]*"|\d+)\s*\])*\s*"""
)
_ROOT = re.compile(r"\s*([A-Za-z_$][\w$]*)")
_KNOWN = frozenset({"ctx", "data", "vars", "func", "process"})
_CONSTANTS = frozenset({"true", "false", "null", "undefined", "NaN", "Infinity"})
_RENAMED = {"state": "vars", "req": "request", "prev": "response"}
_PSEUDO_STEPS = {"@trigger": ("ctx", "request"), "@error": ("ctx", "error")}

Keys = Sequence[str | int]


def path(keys: Keys) -> str:
    """Keys from a root as a path of our language."""
    found = str(keys[0])
    for key in keys[1:]:
        if isinstance(key, str) and _NAME.fullmatch(key) and key not in _WORDS:
            found += f".{key}"
        else:
            found += f"[{key}]" if isinstance(key, int) else "[" + _quoted(key) + "]"
    return found


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Values:
    """Turns the values of one document."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def value(self, given: Any, pointer: str, target: str) -> Any:
        """A value that may hold expressions at any depth."""
        if isinstance(given, str):
            self.draft.place(target, pointer)
            return self.string(given)
        if isinstance(given, list):
            return [self.value(v, f"{pointer}/{i}", f"{target}/{i}") for i, v in enumerate(given)]
        if not isinstance(given, dict):
            return given
        # A `$ref` that is a text belongs to a JSON Schema.
        if len(given) == 1 and (isinstance(given.get("$ref"), dict) or isinstance(given.get("$tpl"), list)):
            self.draft.place(target, pointer)
            return self._reference(given, pointer)
        return {
            key: self.value(v, f"{pointer}/{escaped(key)}", f"{target}/{escaped(key)}")
            for key, v in given.items()
        }

    def string(self, text: str) -> str:
        """A text that may be, or hold, an expression."""
        if text.startswith("js/"):
            return "js/" + self.javascript(text[3:])
        end = text.rfind("}") + 1  # behind the last brace there is nothing that could be a part
        parts = _PART.split(text[:end])
        parts[-1] += text[end:]
        if len(parts) == 1:
            return text
        if len(parts) == 3 and not parts[0] and not parts[2]:
            keys = self._keys(parts[1])
            return "${" + path(keys) + "}" if keys else "js/" + self.javascript(parts[1].strip())
        return self._mixed(parts[::2], [self._keys(part) or part.strip() for part in parts[1::2]])

    def condition(self, text: str) -> str:
        """JavaScript that decides something, by its own truth."""
        text = text.strip().removeprefix("js/")
        return f"js/!!({self.javascript(text)})"

    def javascript(self, text: str) -> str:
        """JavaScript with the names that it has here."""
        return renamed(resolved(text) if "${" in text else text, self._rename)

    # --- References -------------------------------------------------------------------------------

    def keys_of(self, step: str, rest: Keys) -> list[str | int]:
        """Where the output of a step stands, or of one of the two that are none."""
        root = _PSEUDO_STEPS.get(step) or ("ctx", "vars", step)
        results = ["results"] if step in self.draft.loops else []
        return [*root, *results, *rest]

    def _reference(self, given: dict[str, Any], pointer: str) -> str:
        if "$ref" in given:
            keys = self._ref(given["$ref"], pointer)
            return "js/" + _written(keys) if "length" in keys else "${" + path(keys) + "}"
        texts, parts = [""], []
        for segment in given["$tpl"]:
            if isinstance(segment, dict) and "$ref" in segment:
                keys = self._ref(segment["$ref"], pointer)
                parts.append(_written(keys) if "length" in keys else keys)
                texts.append("")
            else:
                texts[-1] += segment if isinstance(segment, str) else str(segment)
        return self._mixed(texts, parts) if parts else texts[0].replace("${", "$${")

    def _ref(self, ref: Any, pointer: str) -> list[str | int]:
        step = ref.get("step") if isinstance(ref, dict) else None
        rest = ref.get("path", []) if isinstance(ref, dict) else []
        if not isinstance(step, str) or not isinstance(rest, list) or not all(map(_is_key, rest)):
            message = "a $ref is an object with a `step` and a list of names and places as its `path`"
            self.draft.fault("shape", pointer, message)
            return ["ctx"]
        if step not in self.draft.names and step not in _PSEUDO_STEPS:
            self.draft.note("reference", pointer, f"no step of this document is called {step!r}")
        return self.keys_of(step, rest)

    # --- Texts ------------------------------------------------------------------------------------

    def _keys(self, text: str) -> list[str | int] | None:
        """A static path as the keys it has here; None when it is more than that."""
        if not _PATH.fullmatch(text):
            return None
        root = _ROOT.match(text)
        if root is None or root[1] in _CONSTANTS:
            return None
        if root[1] not in _KNOWN:  # the mapper looks such a path up in the data before it
            text = f"data.{text.strip()}"
        found: list[list[str | int]] = []

        def keep(name: str, members: Sequence[Member]) -> str:
            head, used, is_wrapped = self._head(name, members)
            keys = [*head, *(member.key for member in members[used:])]
            if not is_wrapped and "length" not in keys:
                found.append(keys)
            return ""

        renamed(re.sub(r"^\s*data\b", "ctx.response.data", text), keep)
        return found[0] if found else None

    def _mixed(self, texts: Sequence[str], parts: Sequence[Keys | str]) -> str:
        """Texts with values between them."""
        is_plain = all(not isinstance(part, str) for part in parts)
        if is_plain and not any(text.endswith("$") for text in texts[:-1]):
            found = texts[0].replace("${", "$${")
            for part, text in zip(parts, texts[1:], strict=True):
                found += "${" + path(part) + "}" + text.replace("${", "$${")
            return found
        found = _for_template(texts[0])
        for part, text in zip(parts, texts[1:], strict=True):
            inner = self.javascript(part) if isinstance(part, str) else _written(part)
            # A property of null is an error, where the template would write `undefined`.
            found += "${(" + inner + ") ?? null.unresolved}" + _for_template(text)
        return f"js/`{found}`"

    # --- Names ------------------------------------------------------------------------------------

    def _rename(self, root: str, members: Sequence[Member]) -> str:
        head, used, is_wrapped = self._head(root, members)
        old = [root, *(member.key for member in members[:used])]
        rest = "".join(member.written for member in members[used:])
        if is_wrapped:
            return f"({_written(head)}.data ?? {_written(head)}){rest}"
        if head[-1] == "results" and len(head) == 4:  # the loop may not have run
            return f"{_written(head[:3])}?.results{rest}"
        if head == old or (root == "vars" and not used):
            return root + "".join(member.written for member in members)
        return _written(head) + rest

    def _head(self, root: str, members: Sequence[Member]) -> tuple[list[str | int], int, bool]:
        """The beginning of a path as it is here, how many members it stands for, and whether the next one
        may be the wrapper that old engines put around an output."""
        first = members[0].key if members else None
        if root == "vars":
            head, used = ["ctx", "vars"], 0
        elif root == "process" and first == "env":
            head, used = ["ctx", "env"], 1
        elif root == "ctx" and isinstance(first, str):
            head, used = ["ctx", _RENAMED.get(first, first)], 1
        else:
            return [root], 0, False
        keys = [member.key for member in members[used : used + 2]]
        if head[1] == "env" and keys:
            self.draft.env.add(str(keys[0]))
        if head[1] == "vars" and keys and keys[0] in self.draft.loops:
            return [*head, keys[0], "results"], used + 1, False
        if head[1] == "vars" and self.draft.is_first and keys[1:] == ["data"] and keys[0] in self.draft.names:
            return [*head, keys[0]], used + 2, True
        return [*head], used, False


def _is_key(key: Any) -> bool:
    return isinstance(key, (str, int)) and not isinstance(key, bool)


def _written(keys: Keys) -> str:
    """Keys as a path of JavaScript."""
    found = str(keys[0])
    for key in keys[1:]:
        if isinstance(key, str) and _NAME.fullmatch(key):
            found += f".{key}"
        else:
            found += f"[{key}]" if isinstance(key, int) else "[" + _quoted(key) + "]"
    return found


def _for_template(text: str) -> str:
    return text.replace("\\", "\\\\").replace("`", "\\`").replace("$", "\\$")
