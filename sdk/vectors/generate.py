"""Writes `values.jsonl`: the values that every SDK must give back as they came, or refuse.

    python sdk/vectors/generate.py

The file is made of rules and one fixed seed, so that a change of it can be read as a change of this.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WANTED = 500
SEED = 20240229
LARGEST = 2**53 - 1
DEEPEST = 63  # the call's own object around the value is the 64th level
Row = dict[str, Any]


def rows() -> list[Row]:
    """Every row, by rule first and then as many random ones as are missing."""
    found = [*_integers(), *_floats(), *_texts(), *_keys(), *_shapes(), *_depths(), *_spellings()]
    refused = list(_refused())
    found.extend(_random(WANTED - len(found) - len(refused)))
    return found + refused


def _row(name: str, value: Any, **more: Any) -> Row:
    return {"id": name, "text": json.dumps(value, ensure_ascii=False, separators=(",", ":")), **more}


def _integers() -> Iterator[Row]:
    edges = [0, 1, 7, 8, 15, 16, 31, 32, 52, 53]
    seen = {sign * (2**bit + step) for bit in edges for step in (-1, 0, 1) for sign in (1, -1)}
    seen |= {sign * 10**power for power in range(16) for sign in (1, -1)}
    for number in sorted(n for n in seen if abs(n) <= LARGEST):
        yield _row(f"integer.{number}", number)


def _floats() -> Iterator[Row]:
    # By their shortest texts: what a reader makes of them must be the same double everywhere.
    texts = (
        "0.1 0.2 0.30000000000000004 -0.1 1.5 -2.25 3.141592653589793 2.718281828459045 1e-7 1e-6 0.001 "
        "123456789.123 1e15 1e16 1e17 1e20 1e21 1e22 1e23 1.7976931348623157e308 -1.7976931348623157e308 "
        "5e-324 -5e-324 2.2250738585072014e-308 2.225073858507201e-308 4.9406564584124654e-324 1e-308 1e-323 "
        "9007199254740991.5 4503599627370496.5 4503599627370497.5 0.1e1 10e-1 1E5 1e+5 1E-5 1.0 -1.0 100.0 "
        "1e308 0.0 -0.0 0e0 0E+10 -0.0e-5 "
        "1.000000000000000055511151231257827e0 179769313486231570000e288 1e-400 "
        "8.41e21 9.5e-3 5.0e-1 6.02214076e23 1.602176634e-19 299792458.0 0.000001 1000000000000000128.0"
    ).split()
    for text in texts:
        yield {"id": f"number.{text}", "text": text}


def _texts() -> Iterator[Row]:
    plain = {
        "empty": "",
        "space": " ",
        "quotes": "\"'`",
        "back-slashes": "\\ \\\\ \\n \\u0041",
        "slashes": "/ </script> <!--",
        "line-separator": "a\u2028b",
        "paragraph-separator": "a\u2029b",
        "next-line": "a\u0085b",
        "nul": "a\x00b",
        "tab-and-lines": "\t\n\r\n\f\b\v",
        "delete": "\x7f",
        "escape": "\x1b[31mred\x1b[0m",
        "byte-order-mark": "\ufeffa\ufeff",
        "noncharacters": "\ufffe\uffff\ufdd0\ufdef",
        "last-code-points": "\U0010ffff\U0010fffe\U0001ffff",
        "replacement": "\ufffd",
        "combining": "e\u0301 o\u0308 \u1e9b\u0323",
        "composed": "é ö",
        "zalgo": "Z\u0300\u0301\u0302\u0303\u0304\u0305",
        "right-to-left": "שלום עולם",
        "arabic": "السلام عليكم",
        "overrides": "\u202eabc\u202c \u2066x\u2069",
        "zero-width": "a\u200bb\u200cc\u200dd\u2060e",
        "joined-emoji": "👩\u200d👩\u200d👧\u200d👦",
        "flags": "🇦🇶🇧🇻",
        "skin-tones": "👍🏽",
        "astral": "𝄞𐍈𠜎",
        "astral-private": "\U000f0000",
        "surrogate-edges": "\ud7ff\ue000",
        "hangul": "각 한글",
        "devanagari": "क्षि",
        "thai": "ก็ได้",
        "cyrillic": "Съешь же ещё этих мягких французских булок",
        "greek": "Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία",
        "chinese": "天地玄黃宇宙洪荒",
        "japanese": "いろはにほへと ちりぬるを",
        "turkish": "İıŞşĞğ",
        "sharp-s": "ẞß ﬁ ﬃ",
        "soft-hyphen": "a\u00adb",
        "no-break": "a\u00a0b\u202fc",
        "numbers-as-text": "1e400",
        "looks-like-null": "null",
        "looks-like-a-frame": '{"jsonrpc":"2.0","id":1,"result":{"output":1}}\n',
        "looks-like-an-expression": "${inputs.x} $${y} {{z}}",
        "percent": "%s %d %n %x {0} {}",
        "long": "long " * 2000,
        "long-astral": "🎈" * 3000,
    }
    for name, text in plain.items():
        yield _row(f"text.{name}", text)
    for code in range(0x20):
        yield _row(f"text.control-{code:02x}", chr(code))


def _keys() -> Iterator[Row]:
    names = (
        "__proto__ constructor prototype toString hasOwnProperty __class__ __init__ __dict__ self this null "
        "true 0 -1 1e3 a.b a/b a~b $ref $id @type class default "
        "interface func fn type nil None length size get set keys"
    ).split()
    for name in [*names, "", " ", "a b", "\u0000", "\n", "🎈", "é", "e\u0301", "İ", "\u2028", "x" * 1000]:
        label = name if name.isascii() and name.isprintable() and 0 < len(name) < 40 else ascii(name)[1:20]
        yield _row(f"key.{label}", {name: {name: name}})
    yield _row("key.composed-and-combining", {"é": 1, "e\u0301": 2})
    yield _row("key.cases", {"a": 1, "A": 2, "ａ": 3})
    yield _row("key.order", {"b": 1, "a": 2, "10": 3, "9": 4, "": 5})
    yield _row(
        "key.proto-object", {"__proto__": {"polluted": True}, "x": {"constructor": {"prototype": {"y": 1}}}}
    )


def _shapes() -> Iterator[Row]:
    shapes: dict[str, Any] = {
        "null": None,
        "true": True,
        "false": False,
        "list": [],
        "object": {},
        "null-in-list": [None],
        "null-in-object": {"a": None},
        "empty-in-empty": [[], {}, [[]], [{}], {"a": []}, {"a": {}}],
        "one-and-true": [1, True, 0, False, "1", "true", ""],
        "falsy": [0, 0.5, "", False, None, [], {}],
        "mixed": {"a": [1, "two", None, {"b": [True, []]}], "": 0},
        "list-of-1000": list(range(1000)),
        "object-of-500": {f"k{n}": n for n in range(500)},
        "table": [{"id": n, "name": f"row {n}", "rate": n / 8} for n in range(100)],
        "blob-escaped": {"$$blob": {"path": "x"}},
        "dollar-keys": {"$": 1, "$$": 2, "$x": 3},
    }
    for name, value in shapes.items():
        yield _row(f"shape.{name}", value)


def _depths() -> Iterator[Row]:
    for depth in (1, 2, 8, 16, 31, 32, 33, 48, 62, DEEPEST):
        yield {"id": f"depth.lists-{depth}", "text": "[" * depth + "]" * depth}
        yield {"id": f"depth.objects-{depth}", "text": '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)}


def _spellings() -> Iterator[Row]:
    yield {"id": "spelling.white-space", "text": ' \t{ "a" : [ 1 ,\t2 ] } ', "gives": '{"a":[1,2]}'}
    yield {"id": "spelling.escapes", "text": r'"\u0041\u00e9\u2028\/\b\f\n\r\t\"\\"'}
    yield {"id": "spelling.pair", "text": r'"\ud83c\udf88"', "gives": '"🎈"'}
    yield {"id": "spelling.upper-case-escape", "text": r'"\uD83C\uDF88\u00E9"', "gives": '"🎈é"'}
    yield {"id": "spelling.escaped-key", "text": r'{"\u0061":1}', "gives": '{"a":1}'}
    yield {"id": "spelling.duplicate-key", "text": '{"a":1,"b":2,"a":3}', "gives": '{"a":3,"b":2}'}
    yield {"id": "spelling.duplicate-by-escape", "text": r'{"a":1,"\u0061":2}', "gives": '{"a":2}'}
    yield {"id": "spelling.minus-zero", "text": "-0", "gives": "0"}


def _random(count: int) -> Iterator[Row]:
    dice = random.Random(SEED)  # noqa: S311  # values to test with
    for number in range(count):
        yield _row(f"random.{number}", _value(dice, 4))


def _value(dice: random.Random, depth: int) -> Any:
    kind = dice.randrange(8 if depth else 6)
    if kind == 6:
        return [_value(dice, depth - 1) for _ in range(dice.randrange(5))]
    if kind == 7:
        return {_text(dice): _value(dice, depth - 1) for _ in range(dice.randrange(5))}
    if kind == 0:
        return dice.choice([None, True, False])
    if kind in (1, 2):
        return dice.randint(-LARGEST, LARGEST) >> dice.randrange(53)
    if kind == 3:
        return dice.uniform(-1, 1) * 10.0 ** dice.randrange(-300, 300)
    return _text(dice)


def _text(dice: random.Random) -> str:
    spans = [
        (0x20, 0x7E),
        (0x20, 0x7E),
        (0, 0x1F),
        (0xA0, 0x24F),
        (0x370, 0x5FF),
        (0x4E00, 0x9FFF),
        (0x10000, 0x1FFFF),
    ]
    return "".join(chr(dice.randint(*dice.choice(spans))) for _ in range(dice.randrange(12)))


def _refused() -> Iterator[Row]:
    texts = {
        "integer-over": "9007199254740992",
        "integer-under": "-9007199254740992",
        "integer-of-30-digits": "123456789012345678901234567890",
        "integer-of-400-digits": "1" + "0" * 400,
        "integer-inside": '{"a":[1,{"b":9007199254740993}]}',
        "float-too-large": "1e400",
        "float-too-small": "-1e400",
        "nan": "NaN",
        "infinity": "Infinity",
        "minus-infinity": "[-Infinity]",
        "depth-64": "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        "depth-64-objects": '{"a":' * DEEPEST + "{}" + "}" * DEEPEST,
        "depth-5000": "[" * 5000 + "]" * 5000,
        "lone-high-surrogate": r'"\ud800"',
        "lone-low-surrogate": r'"\udc00x"',
        "surrogates-swapped": r'"\udf88\ud83c"',
        "lone-surrogate-in-key": r'{"\ud800":1}',
        "trailing-comma": "[1,]",
        "leading-zero": "01",
        "plus": "+1",
        "bare-point": ".5",
        "ends-in-point": "1.",
        "hexadecimal": "0x10",
        "single-quotes": "'a'",
        "bare-key": "{a:1}",
        "comment": "[1/*c*/]",
        "raw-control": '"a\u0001b"',
        "bad-escape": r'"\x41"',
        "short-escape": r'"\u12"',
        "unquoted": "undefined",
        "capital": "True",
        "unclosed": "[1",
    }
    for name, text in texts.items():
        yield {"id": f"refused.{name}", "text": text, "refuse": True}


def main() -> None:
    """Write the file."""
    found = rows()
    assert len(found) == WANTED and len({row["id"] for row in found}) == WANTED  # noqa: S101
    lines = [json.dumps(row, ensure_ascii=True, sort_keys=True) for row in found]
    (Path(__file__).parent / "values.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
