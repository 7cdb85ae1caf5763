"""What of JavaScript's library can be lowered, by name, and what to write instead of the rest.

Each entry holds the fewest and the most arguments. A name is here only when a comparison with Node over
generated values finds no difference.
"""

from __future__ import annotations

__all__ = [
    "CALLBACKS",
    "CALLBACK_METHODS",
    "CONSTANTS",
    "FUNCTIONS",
    "INHERITED",
    "METHODS",
    "MUTATING",
    "REWRITES",
    "ROOTS",
    "SPREAD",
    "STATEMENTS",
]

SPREAD = "..."

# JavaScript name → root and path of the scope
ROOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ctx": ("ctx", ()),
    "data": ("ctx", ("response", "data")),
    "vars": ("ctx", ("vars",)),
    "func": ("func", ()),
}

CONSTANTS = frozenset({"undefined", "NaN", "Infinity"})

FUNCTIONS: dict[str, tuple[int, int]] = {
    "Array.isArray": (1, 1),
    "Boolean": (1, 1),
    "JSON.stringify": (1, 1),
    "Math.abs": (1, 1),
    "Math.ceil": (1, 1),
    "Math.floor": (1, 1),
    "Math.max": (0, 1000),
    "Math.min": (0, 1000),
    "Math.round": (1, 1),
    "Math.sign": (1, 1),
    "Math.sqrt": (1, 1),
    "Math.trunc": (1, 1),
    "Number": (1, 1),
    "Number.isFinite": (1, 1),
    "Number.isInteger": (1, 1),
    "Number.isNaN": (1, 1),
    "Object.entries": (1, 1),
    "Object.keys": (1, 1),
    "Object.values": (1, 1),
    "String": (1, 1),
    "isFinite": (1, 1),
    "isNaN": (1, 1),
    "parseFloat": (1, 1),
    "parseInt": (1, 2),
}

CALLBACKS = frozenset({"Boolean", "Number", "String"})

METHODS: dict[str, tuple[int, int]] = {
    "at": (1, 1),
    "charAt": (0, 1),
    "charCodeAt": (0, 1),
    "concat": (0, 1000),
    "endsWith": (1, 2),
    "flat": (0, 1),
    "includes": (1, 2),
    "indexOf": (1, 2),
    "join": (0, 1),
    "lastIndexOf": (1, 1),
    "padEnd": (1, 2),
    "padStart": (1, 2),
    "repeat": (1, 1),
    "replace": (2, 2),
    "replaceAll": (2, 2),
    "slice": (0, 2),
    "split": (1, 1),
    "startsWith": (1, 2),
    "substring": (1, 2),
    "toLowerCase": (0, 0),
    "toReversed": (0, 0),
    "toString": (0, 0),
    "toUpperCase": (0, 0),
    "trim": (0, 0),
    "trimEnd": (0, 0),
    "trimStart": (0, 0),
}

CALLBACK_METHODS: dict[str, tuple[int, int]] = {
    "every": (1, 1),
    "filter": (1, 1),
    "find": (1, 1),
    "findIndex": (1, 1),
    "flatMap": (1, 1),
    "map": (1, 1),
    "reduce": (1, 2),
    "some": (1, 1),
}

MUTATING = frozenset({"copyWithin", "fill", "pop", "push", "reverse", "shift", "sort", "splice", "unshift"})

STATEMENTS: dict[str, str] = {
    "async": "an async function",
    "await": "await",
    "class": "a class",
    "const": "a declaration",
    "delete": "delete",
    "for": "a statement",
    "function": "a function expression",
    "if": "a statement",
    "import": "import",
    "let": "a declaration",
    "new": "new",
    "return": "a statement",
    "super": "super",
    "this": "this",
    "throw": "a statement",
    "try": "a statement",
    "var": "a declaration",
    "void": "void",
    "while": "a statement",
    "yield": "yield",
}

REWRITES: dict[str, str] = {
    "Math.pow": "${x * x}",
    "Object.assign": "${merge(a, b)}",
    "Object.fromEntries": "${fromEntries(xs)}",
    "JSON.parse": "${parseJson(text)}",
    "forEach": "${xs.map(v, …)}",
    "match": "${glob(text, '*part*')}",
    "push": "${xs + [x]}",
    "regex": "${glob(text, 'a*')}",
    "reverse": "${reverse(xs)} or xs.toReversed()",
    "shift": "${xs[1:]}",
    "sort": "${sort(xs)} or ${xs.sortBy(v, v.key)}",
    "splice": "${xs[0:n]}",
    "test": "${glob(text, '*part*')}",
    "toFixed": "${round(n, 2)}",
    "toSorted": "${sort(xs)} or ${xs.sortBy(v, v.key)}",
    "unshift": "${[x] + xs}",
    "pop": "${xs[-1]}",
}

# What a plain object, an array or a string inherits: reading it gives a function, which is no JSON value.
_OBJECT = """
    __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ __proto__ constructor hasOwnProperty
    isPrototypeOf propertyIsEnumerable toLocaleString toString valueOf
"""
_ARRAY = """
    at concat copyWithin entries every fill filter find findIndex findLast findLastIndex flat flatMap forEach
    includes indexOf join keys lastIndexOf map pop push reduce reduceRight reverse shift slice some sort
    splice toReversed toSorted toSpliced unshift values with
"""
_STRING = """
    anchor at big blink bold charAt charCodeAt codePointAt concat endsWith fixed fontcolor fontsize includes
    indexOf isWellFormed italics lastIndexOf link localeCompare match matchAll normalize padEnd padStart
    repeat replace replaceAll search slice small split startsWith strike sub substr substring sup
    toLocaleLowerCase toLocaleUpperCase toLowerCase toUpperCase toWellFormed trim trimEnd trimLeft trimRight
    trimStart """
_NUMBER = "toExponential toFixed toPrecision"

INHERITED: dict[type, frozenset[str]] = {
    dict: frozenset(_OBJECT.split()),
    list: frozenset(f"{_OBJECT} {_ARRAY}".split()),
    str: frozenset(f"{_OBJECT} {_STRING}".split()),
    int: frozenset(f"{_OBJECT} {_NUMBER}".split()),
    float: frozenset(f"{_OBJECT} {_NUMBER}".split()),
    bool: frozenset(_OBJECT.split()),
}
