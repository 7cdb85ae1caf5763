"""The JavaScript that is compared with Node: one line for each lowered construct, and the values it meets.

Each line is evaluated by Node and by nodeling over the same generated contexts; see test_javascript_node.py.
"""

from __future__ import annotations

import random
from typing import Any

CONSTRUCTS = """
vars.a
vars.o.k
vars['o']["10"]
vars.o[vars.key]
vars.a.b
vars.a?.b
vars.a?.b.c
vars.a?.[0]
vars.missing
vars.missing?.x ?? 'none'
vars.a?.b?.c ?? vars.b
data.k
ctx.response.data.list[0]
ctx.request.body.id
vars.xs[0]
vars.xs[vars.n]
vars.xs['1']
vars.xs[vars.s]
vars.s[0]
vars.s[vars.n]
vars.xs.length
vars.s.length
vars.a.length
vars.a?.length
vars.xs['length']
vars.a === vars.b
vars.a !== vars.b
vars.a == vars.b
vars.a != vars.b
vars.a === undefined
vars.o.nope === undefined
vars.a == null
vars.a === null
vars.s === vars.t
vars.xs === vars.xs
vars.a < vars.b
vars.a <= vars.b
vars.a > vars.b
vars.a >= vars.b
vars.s < vars.t
vars.n < vars.m
vars.key in vars.o
vars.n in vars.xs
vars.a && vars.b
vars.a || vars.b
vars.a ?? vars.b
vars.a && vars.b || vars.s
!vars.a
!!vars.b
vars.a ? vars.s : vars.n
vars.a ? 1 : vars.b ? 2 : 3
typeof vars.a
typeof vars.missing
typeof (vars.a + vars.b)
vars.a + vars.b
vars.s + vars.n
vars.n + vars.m
vars.n + vars.s + vars.m
vars.s + vars.t
vars.n - vars.m
vars.n * vars.m
vars.n / vars.m
vars.n % vars.m
vars.a - vars.b
vars.a * vars.b
vars.a / vars.b
vars.a % vars.b
-vars.a
+vars.a
-vars.n
1 / vars.n
vars.n / 0
`${vars.a}`
`<${vars.s}|${vars.n}|${vars.a}>`
`${vars.s}${vars.t}`
[vars.a, vars.b]
[...vars.xs, vars.a]
[...vars.a]
({a: vars.a, 'b c': vars.n, [vars.s]: vars.t})
({...vars.o, k: vars.b})
({...vars.a})
({vars})
(vars.o).k
'\\u{1f600}\\x41\\n'.length
0x1F + .5 + 5. + 1e3
NaN === NaN
Infinity > vars.n
vars.s.slice(vars.i, vars.j)
vars.s.slice(vars.i)
vars.s.slice()
vars.xs.slice(vars.i, vars.j)
vars.xs.slice(vars.i)
vars.xs.slice(vars.a, vars.b)
vars.s.slice(vars.a, vars.b)
vars.a.slice(1)
vars.s.substring(vars.i, vars.j)
vars.s.substring(vars.i)
vars.s.substring(vars.a, vars.b)
vars.s.at(vars.i)
vars.xs.at(vars.i)
vars.s.charAt(vars.i)
vars.s.charAt()
vars.s.charCodeAt(vars.i)
vars.s.charCodeAt()
vars.s.concat(vars.a, vars.t)
vars.xs.concat(vars.a, vars.ys)
vars.s.includes(vars.part)
vars.s.includes(vars.a, vars.i)
vars.xs.includes(vars.a)
vars.xs.includes(vars.a, vars.i)
[0 / 0].includes(NaN)
vars.s.indexOf(vars.part)
vars.s.indexOf(vars.part, vars.i)
vars.xs.indexOf(vars.a)
vars.xs.indexOf(vars.a, vars.i)
vars.s.lastIndexOf(vars.part)
vars.xs.lastIndexOf(vars.a)
vars.s.startsWith(vars.part)
vars.s.startsWith(vars.part, vars.i)
vars.s.endsWith(vars.part)
vars.s.endsWith(vars.part, vars.i)
vars.s.repeat(vars.i)
vars.s.repeat(2)
vars.s.padStart(vars.j, vars.part)
vars.s.padStart(vars.j)
vars.s.padEnd(vars.j, vars.part)
vars.s.padEnd(6)
vars.s.replace(vars.part, vars.t)
vars.s.replace(vars.part, vars.dollar)
vars.s.replaceAll(vars.part, vars.dollar)
vars.s.replaceAll(vars.part, '<$&>')
vars.s.split(vars.part)
vars.s.split('')
vars.s.split(',')
vars.s.split(vars.part).join(vars.t)
vars.xs.join()
vars.xs.join(vars.part)
vars.xs.toString()
vars.s.toString()
vars.n.toString()
vars.flag.toString()
vars.a.toString()
vars.s.toUpperCase()
vars.s.toLowerCase()
vars.s.trim()
vars.s.trimStart()
vars.s.trimEnd()
vars.xs.flat()
vars.xs.flat(vars.i)
vars.xs.toReversed()
vars.xs.map(x => x)
vars.xs.map((x, i) => `${i}:${typeof x}`)
vars.xs.map((x, i, all) => all.length - i)
vars.xs.map(() => 1)
vars.xs.map(x => ({v: x, vars}))
vars.xs.map(x => vars.ns.map(y => [x, y]))
vars.xs.map(x => vars.ns.map(x => x))
vars.xs.map(String)
vars.xs.map(Number)
vars.rows.map(r => r.name)
vars.rows.map(r => r.name ?? 'anon')
vars.rows.filter(r => r.n > 1).map(r => r.id)
vars.rows.find(r => r.id === vars.i)
vars.rows.find(r => r.n > 2)?.name
vars.rows.findIndex(r => r.n > 2)
vars.rows.some(r => r.n > vars.n)
vars.rows.every(r => r.id)
vars.xs.filter(Boolean)
vars.xs.filter(x => x)
vars.xs.filter((x, i) => i % 2 === 0)
vars.xs.some(x => !x)
vars.xs.every(x => x != null)
vars.xs.flatMap(x => [x, x])
vars.xs.flatMap(x => x)
vars.ns.reduce((sum, x) => sum + x, 0)
vars.ns.reduce((sum, x) => sum + x)
vars.xs.reduce((all, x, i) => all + i + x, '')
Object.keys(vars.o)
Object.keys(vars.a)
Object.values(vars.o)
Object.values(vars.a)
Object.entries(vars.o)
Object.entries(vars.s)
Array.isArray(vars.a)
Boolean(vars.a)
String(vars.a)
Number(vars.a)
Number(vars.numeral)
vars.numeral * 1
Number.isInteger(vars.a)
Number.isFinite(vars.a)
Number.isNaN(vars.a)
isNaN(vars.a)
isFinite(vars.a)
parseInt(vars.numeral)
parseInt(vars.numeral, 10)
parseInt(vars.numeral, vars.i)
parseInt(vars.a)
parseFloat(vars.numeral)
parseFloat(vars.a)
Math.abs(vars.a)
Math.ceil(vars.n)
Math.floor(vars.n)
Math.round(vars.n)
Math.round(vars.n / 10)
Math.trunc(vars.n)
Math.sign(vars.a)
Math.sqrt(vars.n)
Math.max(vars.n, vars.m)
Math.min(vars.n, vars.m, vars.a)
Math.max(...vars.ns)
Math.max(...vars.xs)
Math.min()
1 / Math.max(vars.n, vars.m)
1 / Math.min(vars.n, vars.m)
1 / Math.round(vars.n)
1 / Math.ceil(vars.n)
1 / Math.trunc(vars.n)
1 / (vars.n * vars.m)
1 / (vars.n % vars.m)
JSON.stringify(vars.a)
JSON.stringify(vars.xs)
JSON.stringify(vars.o)
JSON.stringify(vars.s.slice(1))
JSON.stringify({a: vars.missing, b: [vars.missing], c: vars.n / vars.m})
vars.a.x.y
vars.o.toString
vars.xs.map
vars.o.constructor
vars.s.nothing
vars.s.trim
vars.n.x
vars.a.map(x => x)
vars.a.trim()
""".strip().split("\n")

STRINGS = [
    "",
    " ",
    "0",
    "-0",
    "1",
    "10",
    "-1.5",
    "a",
    "b",
    "ab",
    "abc",
    "aBc ",
    "a,b,,c",
    ",",
    "false",
    "null",
    "NaN",
    "undefined",
    "é",
    "e\u0301",
    "ß",
    "İ",
    "ΑΣ",
    "ﬃ",
    "\ufeffx\u00a0",
    "\t\n x \u2028",
    "😀",
    "a😀b",
    "👨‍👩‍👧",
    "😀😀",
    "\U00010000",
    "\uffff",
    "z\ue000",
    "length",
    "$",
    "$&",
    "$$",
    "$1",
    "\\",
    '"',
    "\x7f\x00\x1f",
    "ab" * 5,
    "aaa",
]
NUMBERS = [
    0,
    -0.0,
    1,
    -1,
    2,
    3,
    7,
    10,
    0.1,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    0.49999999999999994,
    1e21,
    1e20,
    123456789.125,
    1e-6,
    1e-7,
    1.5e-7,
    2**53 - 1,
    -(2**53 - 1),
    4503599627370497.5,
    1e300,
    1.7976931348623157e308,
    5e-324,
    1 / 3,
    100,
    255,
    4294967295,
    1e16,
    12345678901234567000.0,
    0.000001234,
]
NUMERALS = [
    "12",
    " 12 ",
    "12px",
    "-7",
    "+7",
    "0x1F",
    "0b11",
    "0o17",
    "1e3",
    "1e",
    ".5",
    "5.",
    "-.5e-3",
    "--1",
    "",
    " ",
    "Infinity",
    "-Infinity",
    "infinity",
    "1_000",
    "0x",
    "0xg",
    "010",
    "-0",
    "1e999",
    "9007199254740993",
    "123456789012345678",
    "zz",
    "7f",
    "\ufeff8\u00a0",
    "1,5",
    "٣",
    "0.1e-2x",
]
KEYS = [
    "k",
    "a",
    "b",
    "0",
    "1",
    "10",
    "02",
    "4294967295",
    "-1",
    "length",
    "x y",
    "é",
    "toString",
    "name",
    "valueOf",
]


def generated_contexts(count: int, seed: int) -> list[dict[str, Any]]:
    """Contexts in the shape of a Blok document's, full of the values where languages differ."""
    source = random.Random(seed)
    return [_context(source) for _ in range(count)]


def _scalar(source: random.Random) -> Any:
    kind = source.random()
    if kind < 0.4:
        return _text(source)
    if kind < 0.75:
        return _number(source)
    return source.choice([None, True, False, source.choice(NUMERALS)])


def _text(source: random.Random) -> str:
    parts = source.choices(STRINGS, k=source.choice([1, 1, 1, 2, 3]))
    return "".join(parts)


def _number(source: random.Random) -> int | float:
    kind = source.random()
    if kind < 0.6:
        return source.choice(NUMBERS)
    if kind < 0.8:
        return source.randint(-20, 20)
    return source.choice([source.uniform(-1e3, 1e3), source.uniform(-1, 1) * 10 ** source.randint(-12, 25)])


def _value(source: random.Random, depth: int = 0) -> Any:
    kind = source.random()
    if depth < 3 and kind < 0.2:
        return [_value(source, depth + 1) for _ in range(source.choice([0, 1, 1, 2, 3]))]
    if depth < 3 and kind < 0.32:
        return _object(source, depth)
    return _scalar(source)


def _object(source: random.Random, depth: int) -> dict[str, Any]:
    return {source.choice(KEYS): _value(source, depth + 1) for _ in range(source.choice([0, 1, 2, 4]))}


def _row(source: random.Random) -> dict[str, Any]:
    row: dict[str, Any] = {"id": source.randint(0, 3), "n": _number(source)}
    if source.random() < 0.8:
        row["name"] = source.choice([None, "", "Ann", "Bo 😀"])
    return row


def _context(source: random.Random) -> dict[str, Any]:
    text = _text(source)
    start = source.randint(0, len(text))
    part = text[start : start + source.choice([0, 1, 1, 2])]
    made = {
        "a": _value(source),
        "b": _value(source),
        "s": text,
        "t": _text(source),
        "part": source.choice([part, part, source.choice(STRINGS)]),
        "dollar": source.choice(["$", "$$", "[$&]", "$`", "$'", "$1$0", "x$", "", "$$&"]),
        "n": _number(source),
        "m": _number(source),
        "i": source.randint(-4, 5),
        "j": source.choice([source.randint(-4, 9), None, 2.7, 1e21]),
        "flag": source.random() < 0.5,
        "numeral": source.choice(NUMERALS),
        "key": source.choice(KEYS),
        "xs": [_value(source, 1) for _ in range(source.randint(0, 4))],
        "ys": [_scalar(source) for _ in range(source.randint(0, 2))],
        "ns": [_number(source) for _ in range(source.randint(0, 4))],
        "rows": [_row(source) for _ in range(source.randint(0, 3))],
        "o": _object(source, 0),
    }
    shared = source.choice(made["xs"]) if made["xs"] else None
    if source.random() < 0.3 and not isinstance(shared, list | dict):
        made["a"] = shared
    return {
        "vars": made,
        "request": {"body": {"id": _scalar(source)}},
        "response": {
            "data": {"k": _value(source), "list": [_scalar(source) for _ in range(source.randint(0, 2))]}
        },
    }
