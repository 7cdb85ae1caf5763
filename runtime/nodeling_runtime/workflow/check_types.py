"""Whether what a step is given can be what its node takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nodeling.errors import nearest
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.schemas import Validator
from nodeling_runtime.workflow.judged import primary
from nodeling_runtime.workflow.missing import MISSING
from nodeling_runtime.workflow.model import Step
from nodeling_runtime.workflow.reading import escape
from nodeling_runtime.workflow.sight import Sight

if TYPE_CHECKING:
    from nodeling_runtime.expressions.references import Reference
    from nodeling_runtime.workflow.check import Check

BOOLEAN = {"type": "boolean"}
MOST_CLASHES = 20  # of one step; who reads so many mends some first


class TypeCheck:
    """The types of one step."""

    def __init__(self, check: Check, sight: Sight, step: Step) -> None:
        self.check = check
        self.sight = sight
        self.step = step

    def run(self) -> None:
        """Check inputs, config and conditions."""
        step, spec = self.step, self.step.spec
        if spec.owner == "unknown":
            return
        if not spec.manifest.flow:
            pointer = step.inputs_pointer or step.pointer
            self._value(step.inputs, step.parameters, spec.manifest.inputs, spec.inputs, pointer, "inputs")
            if step.config is not None or spec.manifest.config is not True:
                pointer = step.config_pointer or step.pointer
                self._value(step.config, {}, spec.manifest.config, spec.config, pointer, "config")
        conditions = [step.condition, *(link.condition for link in step.links or ())]
        conditions.extend(slot.expression for slot in step.slots if slot.kind == "expression")
        for condition in conditions:
            if condition is not None:
                self._condition(condition)

    def _value(
        self,
        template: Template | None,
        beneath: Mapping[str, Any],
        schema: Any,
        validator: Validator,
        pointer: str,
        what: str,
    ) -> None:
        is_broken = template is None and pointer != self.step.pointer  # the loader has said why
        if schema is True or is_broken:
            return
        if template is None or template.is_constant:
            value = {} if template is None else template.constant
            if isinstance(value, dict):
                value = {**beneath, **value}
            self._constant(value, validator, template, pointer, what)
            return
        found = template.infer(self._schema_of)
        if isinstance(found, Mapping):
            self._inferred(_with_constants(found, beneath), schema, template, pointer)

    def _inferred(
        self, found: Mapping[str, Any], schema: Mapping[str, Any] | bool, template: Template, pointer: str
    ) -> None:
        """Every key that cannot fit, one after the other; then what else cannot."""
        from nodeling_runtime.workflow.fit import fit  # for values that expressions make

        strict = self.check.strict
        for key, meant in self._stray(found, schema, pointer):
            found = _less(found, key)
            if meant is not None and isinstance(schema, Mapping):
                schema = _less(schema, meant)
        for _ in range(MOST_CLASHES):
            verdict = fit(found, schema)
            where, key = _place(verdict.pointer, self._home(verdict.pointer, pointer, template))
            if verdict.value == "clash":
                about = f"{key!r} of " if key else ""
                message = f"what is given does not fit {about}{self.step.spec.name!r}: {verdict.reason}"
                self.check.fault("check.fit", message, where, self._sources(template, where))
            elif verdict.value == "unknown" and strict and verdict.reason.startswith("may not fit"):
                message = f"{self.step.spec.name!r}: {verdict.reason}"
                self.check.fault("check.may_not_fit", message, where, warning=True)
            parts = verdict.pointer.split("/")
            if verdict.value != "clash" or len(parts) < 3 or parts[1] != "properties":
                return
            found, schema = _without(found, schema, parts[2])

    def _stray(
        self, found: Mapping[str, Any], schema: Mapping[str, Any] | bool, pointer: str
    ) -> Iterator[tuple[str, str | None]]:
        """Keys that a closed object does not know, each with the one that was probably meant."""
        known = schema.get("properties") if isinstance(schema, Mapping) else None
        given = found.get("properties")
        if not isinstance(known, Mapping) or not isinstance(given, Mapping) or not _is_closed(schema):
            return
        for key in given:
            if key not in known:
                near = nearest(key, [name for name in known if name not in given])
                hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(known) or 'none'}"
                message = f"what is given does not fit {self.step.spec.name!r}: unknown key {key!r}"
                self.check.fault("check.fit", message, f"{pointer}/{escape(key)}", hint, key=True)
                yield key, near

    def _constant(
        self, value: Any, validator: Validator, template: Template | None, pointer: str, what: str
    ) -> None:
        name, given = self.step.spec.name, pointer != self.step.pointer
        for fault in primary(validator.check(value) or []):
            unknown = fault.keyword == "additionalProperties"
            key = "" if unknown else fault.pointer.rpartition("/")[2]
            about = f"{key!r} of {name!r}" if key else f"the {what} of {name!r}"
            home = self._home(f"/properties{fault.pointer}", pointer, template)
            where = home + fault.pointer if given or home != pointer else pointer
            message = f"what is given does not fit {about}: {fault.message}"
            self.check.fault(f"check.{what}", message, where, fault.hint, key=unknown)

    def _home(self, schema_pointer: str, pointer: str, template: Template | None) -> str:
        """Where the value stands whose schema is meant: a key may come from `parameters`."""
        parts = schema_pointer.split("/")
        key = parts[2].replace("~1", "/").replace("~0", "~") if len(parts) > 2 else ""
        above = template.source if template is not None else {}
        is_parameter = parts[1:2] == ["properties"] and key in self.step.parameters and key not in above
        return self.step.parameters_pointer if is_parameter else pointer

    def _condition(self, template: Template) -> None:
        found = template.infer(self._schema_of)
        if found is None:
            return
        from nodeling_runtime.workflow.fit import fit

        if fit(found, BOOLEAN).value == "clash":
            self.check.fault(
                "document.condition",
                "this condition gives neither true nor false",
                template.root_pointer,
                "compare it with something, as in ${… != null}",
            )

    def _schema_of(self, reference: Reference) -> Any:
        schema = self.sight.schema_of(reference)
        if schema is MISSING or schema is None or schema is True:
            return None
        return schema

    @staticmethod
    def _sources(template: Template, where: str) -> str | None:
        names = [
            str(reference)
            for pointer, reference in template.references
            if pointer.startswith(where) or where.startswith(pointer)
        ]
        return f"it comes from {', '.join(dict.fromkeys(names))}" if names else None


def _with_constants(found: Mapping[str, Any], beneath: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is inferred, over the plain values that lie beneath it."""
    if not beneath or "properties" not in found:
        return found
    extra = {key: {"const": value} for key, value in beneath.items()}
    required = [*found.get("required", []), *extra]
    return {**found, "properties": {**extra, **found["properties"]}, "required": required}


def _is_closed(schema: Any) -> bool:
    return schema.get("additionalProperties") is False and "patternProperties" not in schema


def _without(
    found: Mapping[str, Any], schema: Mapping[str, Any] | bool, key: str
) -> tuple[Mapping[str, Any], Mapping[str, Any] | bool]:
    """Both sides as if they did not speak of a key."""
    return _less(found, key), _less(schema, key) if isinstance(schema, Mapping) else schema


def _less(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    known = {name: one for name, one in schema.get("properties", {}).items() if name != key}
    return {
        **schema,
        "properties": known,
        "required": [one for one in schema.get("required", []) if one != key],
    }


def _place(schema_pointer: str, pointer: str) -> tuple[str, str]:
    """Where in the step's value a place of the schema is."""
    parts = schema_pointer.split("/")[1:]
    where, key = pointer, ""
    while len(parts) >= 2 and parts[0] == "properties":
        where, key = f"{where}/{parts[1]}", parts[1].replace("~1", "/").replace("~0", "~")
        parts = parts[2:]
    return where, key
