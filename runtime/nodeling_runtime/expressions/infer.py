"""The JSON Schema of an expression's result, where the text alone decides it.

None means unknown, never "anything": the checker stays silent where this module is. Nothing is claimed that
an evaluation could contradict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodeling_runtime.expressions.functions import BUILTINS, FunctionTable
from nodeling_runtime.expressions.references import Reference, whole_path
from nodeling_runtime.expressions.syntax import (
    Access,
    Binary,
    Call,
    Chain,
    Conditional,
    Has,
    Interpolation,
    ListLiteral,
    Literal,
    Logic,
    Macro,
    MapLiteral,
    Method,
    Name,
    Node,
    Slice,
    Unary,
)

if TYPE_CHECKING:
    from nodeling_runtime.expressions.compiler import Expression
    from nodeling_runtime.expressions.template import Template

__all__ = ["Schema", "SchemaOf", "infer", "infer_template"]

Schema = Mapping[str, Any]
SchemaOf = Callable[[Reference], Schema | None]

BOOLEAN: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
STRING: Schema = {"type": "string"}
LIST: Schema = {"type": "array"}
MAP: Schema = {"type": "object"}


def infer(expression: Expression, schema_of: SchemaOf, functions: FunctionTable = BUILTINS) -> Schema | None:
    """The schema of every value the expression can have, or None.

    `schema_of` gives the schema of an unguarded path with constant keys.
    """
    walk = _Inferring(schema_of, functions)
    if expression.language != "expr":
        return walk.javascript(expression.syntax)
    return walk.node(expression.syntax, frozenset())


def infer_template(template: Template, schema_of: SchemaOf) -> Schema | None:
    """The schema of a template's value: maps with their properties, constants as they are."""
    return _value(template.source, "", template, schema_of, template.functions)


def _value(
    value: Any, pointer: str, template: Template, schema_of: SchemaOf, functions: FunctionTable
) -> Schema | None:
    from nodeling_runtime.expressions.template import escaped

    string = template.strings.get(template.root_pointer + pointer)
    if string is not None:
        part = string.pieces[0]
        if string.is_whole and not isinstance(part, str):
            return infer(part.expression, schema_of, functions)
        return STRING
    if isinstance(value, dict):
        known = {
            key: _value(item, f"{pointer}/{escaped(key)}", template, schema_of, functions)
            for key, item in value.items()
        }
        return {
            "type": "object",
            "properties": {key: {} if schema is None else schema for key, schema in known.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        items = [
            _value(item, f"{pointer}/{place}", template, schema_of, functions)
            for place, item in enumerate(value)
        ]
        return _tuple(items)
    return {"const": value}


def _tuple(items: list[Any]) -> Schema:
    size = len(items)
    listed = {"prefixItems": [{} if item is None else item for item in items]} if items else {}
    return {"type": "array", **listed, "minItems": size, "maxItems": size}


class _Inferring:
    """One walk over a tree."""

    def __init__(self, schema_of: SchemaOf, functions: FunctionTable) -> None:
        self.schema_of = schema_of
        self.functions = functions

    def node(self, node: Node, bound: frozenset[str]) -> Schema | None:
        match node:
            case Name() | Access():
                return self.access(node, bound)
            case Conditional():
                return self.any_of([*(value for _, value in node.cases), node.otherwise], bound)
            case Logic(operator="??"):
                return self.coalesce(node, bound)
            case Has() | Binary() | Logic():
                return BOOLEAN
            case Unary():
                return BOOLEAN if node.operator == "!" else NUMBER
            case Chain():
                return self.chain(node, bound)
            case Call():
                return self.returns(node.function)
        return self.literal(node, bound)

    def javascript(self, node: Node) -> Schema | None:
        """The few shapes of JavaScript whose type no value can change."""
        match node:
            case Binary() | Unary(operator="!"):
                return BOOLEAN
            case Interpolation() | Unary(operator="typeof"):
                return STRING
            case Name() | Access() if whole_path(node) is not None:
                return self.access(node, frozenset())
            case Access(links=(*before, Method(name="slice", optional=False))):
                base = Access(node.base, tuple(before), node.at) if before else node.base
                return None if whole_path(base) is None else self.shortened(base, frozenset())
        return None

    def literal(self, node: Node, bound: frozenset[str]) -> Schema | None:
        if isinstance(node, Literal):
            return {"const": node.value}
        if isinstance(node, ListLiteral):
            return _tuple([self.node(item, bound) for item in node.items])
        return self.map(node, bound) if isinstance(node, MapLiteral) else None

    def access(self, node: Name | Access, bound: frozenset[str]) -> Schema | None:
        whole = whole_path(node)
        if whole is not None:
            return None if whole.root in bound else self.schema_of(whole)
        if not isinstance(node, Access) or any(link.optional for link in node.links):
            return None
        link = node.links[-1]
        before: Node = Access(node.base, node.links[:-1], node.at) if len(node.links) > 1 else node.base
        if isinstance(link, Method):
            return self.returns(link.name)
        if isinstance(link, Macro):
            return self.macro(link, before, bound)
        if isinstance(link, Slice):
            return self.shortened(before, bound)
        return None

    def returns(self, name: str) -> Schema | None:
        function = self.functions.get(name)
        return function.returns_schema if function is not None else None

    def macro(self, link: Macro, before: Node, bound: frozenset[str]) -> Schema | None:
        if link.name in ("all", "exists", "exists_one"):
            return BOOLEAN
        if link.name == "map":
            item = self.node(link.body, bound | {link.variable})
            return LIST if item is None else {"type": "array", "items": item}
        if link.name == "groupBy":
            return {"type": "object", "additionalProperties": LIST}
        return self.shortened(before, bound) or LIST

    def shortened(self, before: Node, bound: frozenset[str]) -> Schema | None:
        """A part of a list keeps the schema of its items, and no promise of length or place."""
        schema = self.node(before, bound)
        if schema is None:
            return None
        if schema.get("type") == "string" or isinstance(schema.get("const"), str):
            return STRING
        if schema.get("type") != "array" or not set(schema) <= _KEPT:
            return LIST if schema.get("type") == "array" else None
        return {key: schema[key] for key in ("type", "items", "$defs", "definitions") if key in schema}

    def any_of(self, nodes: list[Node], bound: frozenset[str]) -> Schema | None:
        schemas: list[Schema] = []
        for node in nodes:
            schema = self.node(node, bound)
            if schema is None:
                return None
            if schema not in schemas:
                schemas.append(schema)
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def coalesce(self, node: Logic, bound: frozenset[str]) -> Schema | None:
        """Any of the operands; paths before the last have an answer for leading nowhere."""
        outside = self.schema_of
        try:
            self.schema_of = lambda reference: outside(replace(reference, guarded=True))
            first = self.any_of(list(node.operands[:-1]), bound)
        finally:
            self.schema_of = outside
        last = self.node(node.operands[-1], bound)
        if first is None or last is None:
            return None
        return first if first == last else {"anyOf": [first, last]}

    def chain(self, node: Chain, bound: frozenset[str]) -> Schema | None:
        if node.rest[0].operator not in "+-" or any(part.operator == "-" for part in node.rest):
            return NUMBER
        kinds = [_kind(self.node(part, bound)) for part in (node.first, *(part.node for part in node.rest))]
        # one operand of a known type decides it: any other type would be an error
        for kind in kinds:
            if kind is not None:
                return kind
        return None

    def map(self, node: MapLiteral, bound: frozenset[str]) -> Schema:
        properties: dict[str, Any] = {}
        for key, value in node.entries:
            if not isinstance(key, Literal) or not isinstance(key.value, str):
                return MAP
            properties[key.value] = self.node(value, bound) or {}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


_KEPT = frozenset(
    {"type", "items", "title", "description", "minItems", "maxItems", "uniqueItems", "$defs", "definitions"}
)


def _kind(schema: Schema | None) -> Schema | None:
    """The bare type of an operand of `+`, when the schema names a single one."""
    if schema is None:
        return None
    if "const" in schema:
        value = schema["const"]
        if isinstance(value, str):
            return STRING
        return NUMBER if isinstance(value, int | float) and not isinstance(value, bool) else None
    named = schema.get("type")
    kinds = {"string": STRING, "number": NUMBER, "integer": NUMBER, "array": LIST}
    return kinds.get(named) if isinstance(named, str) else None
