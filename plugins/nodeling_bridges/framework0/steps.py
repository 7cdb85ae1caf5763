"""The steps of a recipe: what each runs, after what, under which condition, and how often it is tried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from nodeling.errors import nearest
from nodeling_bridges.framework0.draft import Draft
from nodeling_bridges.framework0.expressions import SyntaxFault, plain
from nodeling_bridges.framework0.modules import is_module, is_of_python

__all__ = ["Steps"]

Step = dict[str, Any]

TYPES = ("python", "sub_recipe")
TRIGGERS = ("on_error", "always")
_KEYS = (
    "name",
    "idx",
    "type",
    "module",
    "function",
    "recipe_path",
    "parameters",
    "depends_on",
    "args",
    "condition",
    "trigger",
    "success",
    "description",
    "tags",
    "estimated_duration",
    "retry_attempts",
    "timeout_seconds",
    "error_handling",
)
_ERRORS = ("retry_attempts", "retry_count", "retry_delay")
_OWN = ("condition", "inactive")


class Steps:
    """The steps of one recipe.

    Attributes:
        names: The steps' names, in the order of the recipe.
        start: The name of the step that is added in front.
        is_graph: They say what they depend on.
        bindable: The names that `--bind` may name: steps, and the scriptlets that they run.
    """

    def __init__(self, draft: Draft, data: Mapping[str, Any], execution: Mapping[str, Any]) -> None:
        self._draft = draft
        self._listed = self._read(data)
        self._retries = draft.number(execution, "retry_attempts", "/execution", 0) or 0
        self.names = [name for name, _, _ in self._listed]
        self._handlers = {name for name, step, _ in self._listed if step.get("trigger") in TRIGGERS}
        self.start = self._fresh("recipe-start")
        self.is_graph = execution.get("parallel_execution") is True or any(
            step.get("depends_on") is not None
            for _, step, _ in self._listed
            if step.get("trigger") not in TRIGGERS
        )
        self.bindable = {*self.names, *(str(step.get("function")) for _, step, _ in self._listed)}
        self._taken = {self.start, *self.names}

    def native(self) -> list[Step]:
        """The native steps."""
        return [
            self._step(name, step, pointer, f"/steps/{index}")
            for index, (name, step, pointer) in enumerate(self._listed, 1)
        ]

    # -- reading

    def _read(self, data: Mapping[str, Any]) -> list[tuple[str, Step, str]]:
        draft, steps = self._draft, data.get("steps")
        if not isinstance(steps, list) or not steps:
            draft.fault(
                "framework0.shape", "/steps" if "steps" in data else "", "a recipe has a list of `steps`"
            )
            return []
        found: list[tuple[str, Step, str]] = []
        seen: set[str] = set()
        last = 0
        for index, step in enumerate(steps):
            pointer = f"/steps/{index}"
            if not isinstance(step, dict):
                draft.fault("framework0.shape", pointer, "a step is an object")
                continue
            draft.strangers(step, _KEYS, pointer, "this step")
            name = draft.text(step, "name", pointer, "a step")
            if name in seen:
                draft.fault("framework0.duplicate", f"{pointer}/name", f"two steps are called {name!r}")
            seen.add(name)
            number = draft.number(step, "idx", pointer, 0)
            if number is not None and number <= last:
                draft.note(f"{pointer}/idx", f"idx {number} comes after {last}: the order of the list counts")
            last = last if number is None else number
            found.append((name, step, pointer))
        return found

    def _fresh(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self.names:
            number += 1
            name = f"{wanted}-{number}"
        return name

    # -- one step

    def _step(self, name: str, step: Step, pointer: str, target: str) -> Step:
        draft = self._draft
        draft.place(target, pointer)
        kind = step.get("type", "python")
        if kind not in TYPES:
            near = nearest(str(kind), TYPES)
            hint = f"did you mean {near!r}?" if near else f"there are {' and '.join(TYPES)}"
            draft.fault("framework0.type", f"{pointer}/type", f"step {name!r} has the type {kind!r}", hint)
            return {"name": name}
        found: Step = {"name": name}
        if isinstance(step.get("description"), str):
            found["description"] = step["description"]
        if kind == "python":
            found.update(self._python(name, step, pointer, target))
        else:
            found.update(self._sub_recipe(name, step, pointer, target))
        self._order(found, name, step, pointer, target)
        self._condition(found, step, pointer, target)
        for key in ("tags", "estimated_duration"):
            if key in step:
                draft.note(f"{pointer}/{key}", f"`{key}` of step {name!r} says nothing to the run")
        return found

    def _python(self, name: str, step: Step, pointer: str, target: str) -> Step:
        draft = self._draft
        module = draft.text(step, "module", pointer, f"step {name!r}")
        function = draft.text(step, "function", pointer, f"step {name!r}")
        bindings = draft.wishes.bindings
        bound = bindings.get(name, bindings.get(function))
        inputs = f"{target}/do/inputs"
        child: Step = {"name": self._child(name)}
        args = draft.mapping(step, "args", pointer)
        for key in ("recipe_path", "parameters"):
            if key in step:
                draft.note(f"{pointer}/{key}", f"`{key}` is for a sub_recipe; this step runs a scriptlet")
        if bound is not None:
            child.update(node=bound, inputs=draft.lowered(args, f"{pointer}/args", inputs))
            if "success" in step:
                draft.note(f"{pointer}/success", f"`success` of step {name!r} is not asked of a node")
            found: Step = {"node": "framework0-scriptlet"}
        else:
            self._judge_module(name, module, function, pointer)
            lowered = draft.lowered(args, f"{pointer}/args", f"{inputs}/args")
            given = {"step": plain(name), "module": module, "function": function, "args": lowered}
            child.update(node="framework0-run", inputs=given)
            keys = self._success(step, pointer)
            if keys:
                child["inputs"]["ctx_has_keys"] = [plain(key) for key in keys]
            found = {"node": "framework0-scriptlet", "folder": self._folder()}
        self._tries(child, step, pointer)
        timeout = draft.seconds(step, "timeout_seconds", pointer)
        if timeout is not None:
            child["timeout"] = timeout
        return {**found, "do": child}

    def _judge_module(self, name: str, module: str, function: str, pointer: str) -> None:
        """Refuse what could not be a module of the recipe's own, wherever it will be looked for."""
        draft = self._draft
        if module and not is_module(module):
            message = f"step {name!r} names the module {module!r}, which is no dotted name"
            draft.fault("framework0.module", f"{pointer}/module", message, "as in scriptlets.tutorial")
        elif module and is_of_python(module):
            message = f"step {name!r} names the module {module!r}, which is not the recipe's own"
            draft.fault(
                "framework0.module", f"{pointer}/module", message, "name a module in the recipe's own folders"
            )
        if function and not (function.isidentifier() and function.isascii()):
            message = f"step {name!r} names the function {function!r}, which is no class's name"
            draft.fault("framework0.module", f"{pointer}/function", message, "as in LoadCustomersScriptlet")

    def _sub_recipe(self, name: str, step: Step, pointer: str, target: str) -> Step:
        draft = self._draft
        path = draft.text(step, "recipe_path", pointer, f"the sub-recipe {name!r}")
        parts = PurePosixPath(path).parts
        if "#{" in path or "${" in path:
            message = "which recipe runs has to be said in plain text"
            draft.fault("framework0.sub_recipe", f"{pointer}/recipe_path", message)
        elif path.startswith("/") or ".." in parts:
            message = f"the recipe {path!r} lies outside the folders of this one"
            hint = "give a path without .. and without / in front"
            draft.fault("framework0.sub_recipe", f"{pointer}/recipe_path", message, hint)
        key = "parameters" if "parameters" in step else "args"
        params = draft.mapping(step, key, pointer)
        for other in ("module", "function"):
            if other in step:
                draft.note(f"{pointer}/{other}", f"`{other}` is for a scriptlet; this step runs a recipe")
        found: Step = {
            "node": "framework0-recipe",
            "recipe": self._relative(parts),
            "params": draft.lowered(params, f"{pointer}/{key}", f"{target}/params"),
            "left": "${ctx.vars}",
        }
        draft.place(f"{target}/recipe", f"{pointer}/recipe_path")
        timeout = draft.seconds(step, "timeout_seconds", pointer)
        if timeout is not None:
            found["deadline"] = timeout
        if "success" in step:
            draft.note(f"{pointer}/success", f"`success` of step {name!r} is not asked of a recipe")
        self._tries(found, step, pointer)
        return found

    def _relative(self, parts: tuple[str, ...]) -> str:
        """A recipe's path from this recipe's folder.

        Framework0 reads it from where it was started; so where it begins with one of the folders that this
        recipe lies in, it is from the folder above that one.
        """
        here = PurePosixPath(self._draft.source.name).parent.parts
        above = [index for index, part in enumerate(here) if parts and part == parts[0] and len(parts) > 1]
        if not above:
            return "/".join(parts)
        tail, rest = here[above[-1] :], parts
        while tail and rest and tail[0] == rest[0]:
            tail, rest = tail[1:], rest[1:]
        return "/".join([*([".."] * len(tail)), *rest])

    def _folder(self) -> str:
        return plain(str(PurePosixPath(self._draft.source.name).parent))

    def _child(self, name: str) -> str:
        wanted = found = f"{name}-scriptlet"
        number = 1
        while found in self._taken:
            number += 1
            found = f"{wanted}-{number}"
        self._taken.add(found)
        return found

    def _success(self, step: Step, pointer: str) -> list[str]:
        success = self._draft.mapping(step, "success", pointer)
        self._draft.strangers(success, ("ctx_has_keys",), f"{pointer}/success", "`success`")
        return self._draft.texts(success, "ctx_has_keys", f"{pointer}/success")

    def _tries(self, found: Step, step: Step, pointer: str) -> None:
        draft = self._draft
        errors = draft.mapping(step, "error_handling", pointer)
        draft.strangers(errors, _ERRORS, f"{pointer}/error_handling", "`error_handling`")
        said = [
            draft.number(step, "retry_attempts", pointer, 0),
            draft.number(errors, "retry_attempts", f"{pointer}/error_handling", 0),
            draft.number(errors, "retry_count", f"{pointer}/error_handling", 0),
            self._retries,
        ]
        retries = next(number for number in said if number is not None)
        if retries:
            found["retry"] = {"attempts": retries + 1}
            delay = draft.seconds(errors, "retry_delay", f"{pointer}/error_handling")
            if delay is not None:
                found["retry"].update(delay=delay, backoff="fixed", jitter="none")

    # -- when

    def _order(self, found: Step, name: str, step: Step, pointer: str, target: str) -> None:
        draft = self._draft
        wanted = list(dict.fromkeys(draft.texts(step, "depends_on", pointer)))
        trigger = step.get("trigger")
        if trigger is not None and trigger not in TRIGGERS:
            near = nearest(str(trigger), TRIGGERS)
            hint = f"did you mean {near!r}?" if near else f"there are {' and '.join(TRIGGERS)}"
            draft.fault(
                "framework0.trigger", f"{pointer}/trigger", f"step {name!r} has the trigger {trigger!r}", hint
            )
            return
        known = [one for one in wanted if self._knows(one, name, pointer)]
        if trigger in TRIGGERS:
            found["trigger"] = trigger
            if known:
                message = f"`depends_on` of {name!r}: it runs when every other step has ended"
                draft.note(f"{pointer}/depends_on", message)
            return
        for one in known:
            if one in self._handlers:
                message = f"step {name!r} depends on {one!r}, which runs only after it"
                draft.fault("framework0.depends_on", f"{pointer}/depends_on", message)
        if self.is_graph:
            found["needs"] = [_link(one) for one in known] or [self.start]
            if len(known) > 1:
                found["merge"] = "last"
            draft.place(f"{target}/needs", f"{pointer}/depends_on")

    def _knows(self, wanted: str, name: str, pointer: str) -> bool:
        if wanted in self.names:
            return True
        near = nearest(wanted, self.names)
        known = ", ".join(name for name in self.names[:12] if name)
        hint = f"did you mean {near!r}?" if near else f"the steps are {known}"
        message = f"step {name!r} depends on {wanted!r}, which is no step here"
        self._draft.fault("framework0.depends_on", f"{pointer}/depends_on", message, hint)
        return False

    def _condition(self, found: Step, step: Step, pointer: str, target: str) -> None:
        condition = step.get("condition")
        if condition is None:
            return
        draft, place = self._draft, f"{pointer}/condition"
        draft.place(f"{target}/if", place)
        if isinstance(condition, bool):
            found["if"] = condition
        elif not isinstance(condition, str):
            draft.fault("framework0.expression", place, f"a condition is a text, not {condition!r:.60}")
        else:
            try:
                found["if"] = draft.expressions.condition(condition, draft.where(place))
            except SyntaxFault as fault:
                draft.expression_fault(fault, condition, place)


def _link(name: str) -> dict[str, Any]:
    """A dependency is met by a step that succeeded, and by one that its own condition kept from running."""
    step = f"steps[{json.dumps(name, ensure_ascii=False)}]"
    reasons = json.dumps(list(_OWN))
    held = f'{step}.status == "succeeded" || {step}.reason in {reasons}'
    return {"step": name, "on": ["success", "skipped"], "if": f"${{{held}}}"}
