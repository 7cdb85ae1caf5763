from __future__ import annotations

import dataclasses
import datetime
import json
import math
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nodeling.values
from nodeling.values import (
    MAX_INTEGER,
    InvalidValue,
    decode,
    decode_and_encode,
    decode_orjson,
    decode_stdlib,
    encode,
    encode_orjson,
    encode_stdlib,
    exceeds_depth,
)

VECTORS = json.loads((Path(__file__).parents[1] / "value_vectors.json").read_text(encoding="utf-8"))
SDK = Path(nodeling.values.__file__).parents[1]

encoders = pytest.mark.parametrize("encoder", [encode_orjson, encode_stdlib])
decoders = pytest.mark.parametrize("decoder", [decode_orjson, decode_stdlib])


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


Pair = namedtuple("Pair", ["a", "b"])


class Texts(str):
    pass


class Numbers(int):
    pass


class Floats(float):
    pass


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


def _emptied() -> Point:
    point = Point(1)
    del point.x
    return point


def _circle(kind: str) -> Any:
    if kind == "list":
        items: list[Any] = []
        items.append(items)
        return items
    if kind == "dict":
        table: dict[str, Any] = {}
        table["self"] = table
        return table
    point = Point(1)
    point.x = [point]
    return point


def _nest(depth: int) -> Any:
    data: list[Any] = []
    for _ in range(depth - 1):
        data = [data]
    return data


def _subclass(data: Any) -> Any:
    if isinstance(data, dict):
        return defaultdict(list, {Texts(key): _subclass(item) for key, item in data.items()})
    wrap = {str: Texts, int: Numbers, float: Floats}.get(type(data))
    return wrap(data) if wrap else [_subclass(item) for item in data]


def _twice(data: Any) -> list[Any]:
    return [data, data]


MAKERS: dict[str, Any] = {
    "$tuple": lambda spec: tuple(map(make, spec)),
    "$namedtuple": lambda spec: Pair(*map(make, spec)),
    "$dataclass": lambda spec: Point(**make(spec)),
    "$datetime": datetime.datetime.fromisoformat,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$uuid": UUID,
    "$enum": lambda spec: Enum("Made", {"MEMBER": make(spec)})["MEMBER"],
    "$subclass": _subclass,
    "$nest": _nest,
    "$twice": _twice,
    "$float": float,
    "$int": int,
    "$set": set,
    "$bytes": bytes.fromhex,
    "$object": lambda _: object(),
    "$type": lambda _: Point,
    "$complex": lambda _: 1j,
    "$ellipsis": lambda _: ...,
    "$fragment": lambda spec: orjson.Fragment(spec),
    "$mute": lambda _: Mute(),
    "$emptied": lambda _: _emptied(),
    "$text": lambda spec: "".join(map(chr, spec)),
    "$dict": lambda spec: {make(key): make(item) for key, item in spec},
    "$circle": _circle,
}


def make(spec: Any) -> Any:
    """The Python value that a vector describes."""
    if isinstance(spec, dict):
        name = next(iter(spec), "")
        if name.startswith("$"):
            return MAKERS[name](spec[name])
        return {key: make(item) for key, item in spec.items()}
    return [make(item) for item in spec] if isinstance(spec, list) else spec


def text_of(vector: dict[str, Any]) -> bytes:
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    text = vector["text"]
    if isinstance(text, list):
        text = "".join(piece * count for piece, count in text)
    return text.encode("utf-8")


def names(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


@encoders
@pytest.mark.parametrize("vector", VECTORS["encode"], ids=names(VECTORS["encode"]))
def test_each_encoder_follows_the_vectors(encoder: Any, vector: dict[str, Any]) -> None:
    value = make(vector["make"])
    if "bytes" in vector:
        assert encoder(value) == vector["bytes"].encode("utf-8")
        return
    with pytest.raises(InvalidValue) as caught:
        encoder(value)
    assert (caught.value.kind, caught.value.pointer) == (vector["kind"], vector["pointer"])


@decoders
@pytest.mark.parametrize("vector", VECTORS["decode"], ids=names(VECTORS["decode"]))
def test_each_decoder_follows_the_vectors(decoder: Any, vector: dict[str, Any]) -> None:
    raw = text_of(vector)
    if "value" in vector:
        found = decoder(raw)
        assert found == vector["value"]
        assert repr(found) == repr(vector["value"])
        return
    with pytest.raises(InvalidValue) as caught:
        decoder(raw)
    assert (caught.value.kind, caught.value.pointer) == (vector["kind"], vector["pointer"])


@decoders
def test_a_stray_byte_is_named_with_its_offset(decoder: Any) -> None:
    with pytest.raises(InvalidValue, match=r"0xe9 at offset 6 "):
        decoder(b'["\xc3\xa4",\xe9]')


@decoders
def test_text_that_holds_a_lone_surrogate_itself_is_refused(decoder: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        decoder('"\ud800"')
    assert caught.value.kind == "surrogate"


@encoders
def test_enum_members_that_are_also_text_or_numbers_travel_as_their_value(encoder: Any) -> None:
    assert encoder({"a": Level.LOW, "b": Word.YES, Word.YES: 1}) == b'{"a":1,"b":"yes","yes":1}'


@encoders
def test_keys_keep_their_order(encoder: Any) -> None:
    assert encoder(OrderedDict([("b", 1), ("a", 2)])) == b'{"b":1,"a":2}'


@encoders
def test_no_line_feed_ever_leaves(encoder: Any) -> None:
    assert b"\n" not in encoder({"a\n": ["\n", "\u2028"]})


def test_a_refusal_is_a_value_error_that_reads_well() -> None:
    with pytest.raises(ValueError, match=r"^a set is no JSON value; return a list \(at /rows/0\)$"):
        encode({"rows": [{1}]})


@encoders
def test_a_key_that_cannot_show_itself_hides_no_fault(encoder: Any) -> None:
    with pytest.raises(InvalidValue, match="the key <Mute> is a Mute"):
        encoder({Mute(): 1})


def test_a_large_flat_value_is_not_taken_for_a_deep_one() -> None:
    rows = [{"a": [1, {"b": "]]]["}]} for _ in range(1000)]
    assert decode(encode(rows)) == rows


# --- Both back ends agree -------------------------------------------------------------------------

texts = st.text(max_size=6)
# Alphabets that reach the odd corners of the byte scans: quotes, backslashes, brackets, digits.
odd_texts = st.text(alphabet='"\\[]{}09,:nul\n\u2028\U0001f600\ud800', max_size=24)
json_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_INTEGER, MAX_INTEGER),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
weird_scalars = st.one_of(
    json_scalars,
    odd_texts,
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.datetimes(),
    st.dates(),
    st.uuids(),
    st.binary(max_size=3),
    st.sampled_from(
        [Level.LOW, Word.YES, Texts("null"), Numbers(5), Floats("nan"), {1}, object(), 1j, Point]
    ),
    st.sampled_from([b"1", b'1,"x":2', b"\n"]).map(lambda piece: orjson.Fragment(piece)),
)
weird_values = st.recursive(
    weird_scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(texts, odd_texts, st.integers(0, 3), st.none()), inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Pair, inner, inner),
        st.dictionaries(texts, inner, max_size=3).map(OrderedDict),
    ),
    max_leaves=8,
)


def outcome(function: Any, argument: Any) -> tuple[Any, ...]:
    try:
        return ("took", function(argument))
    except InvalidValue as error:
        return ("refused", error.kind, error.pointer)


@settings(deadline=None, max_examples=600)
@given(weird_values)
def test_encoders_take_and_refuse_the_same_values(value: Any) -> None:
    fast, slow = outcome(encode_orjson, value), outcome(encode_stdlib, value)
    if fast[0] == "took":
        assert slow[0] == "took"
        assert json.loads(fast[1]) == json.loads(slow[1])
        assert b"\n" not in fast[1] + slow[1]
        assert outcome(decode_orjson, fast[1]) == outcome(decode_stdlib, slow[1])
    else:
        assert fast == slow


@settings(deadline=None, max_examples=300)
@given(json_values)
def test_any_json_value_survives_the_trip(value: Any) -> None:
    for encoder in (encode_orjson, encode_stdlib):
        for decoder in (decode_orjson, decode_stdlib):
            assert decoder(encoder(value)) == value


# Pieces of JSON in any order: mostly nonsense, often nearly right.
pieces = st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            '"',
            "\\",
            '"a"',
            '"\\ud800"',
            "null",
            "true",
            "NaN",
            "1",
            "-",
            "e",
            ".",
        ]
        + ["9007199254740992", "12345678901234567", "1e999", " ", "\n", "[1]", '{"a":1}', '"\\\\"', "0", "-0"]
    ),
    max_size=10,
).map("".join)


@settings(deadline=None, max_examples=800)
@given(pieces)
def test_decoders_take_and_refuse_the_same_texts(text: str) -> None:
    fast, slow = outcome(decode_orjson, text), outcome(decode_stdlib, text)
    assert fast == slow
    assert repr(fast) == repr(slow)


def both(text: str) -> Any:
    value, data = decode_and_encode(text.encode())
    assert data == encode_orjson(value)
    return value


@settings(deadline=None, max_examples=800)
@given(pieces | json_values.map(lambda value: json.dumps(value, separators=(",", ":"))))
def test_what_is_decoded_and_encoded_at_once_is_taken_and_refused_as_by_decoding_alone(text: str) -> None:
    at_once, alone = outcome(both, text), outcome(decode_orjson, text)
    assert at_once == alone
    assert repr(at_once) == repr(alone)


def deepest(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return 1 + max(map(deepest, value), default=0)
    return 0


bracketed = st.recursive(
    odd_texts.filter(str.isprintable),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just('{"'), inner, max_size=1),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(bracketed, st.integers(0, 6))
def test_the_depth_of_a_text_is_counted_exactly(value: Any, limit: int) -> None:
    text = json.dumps(value).encode()
    assert exceeds_depth(text, limit) == (deepest(value) > limit)


# --- Alone ----------------------------------------------------------------------------------------


def test_it_works_without_orjson_on_the_standard_library_alone() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(SDK)!r})\n"
        "import nodeling.values as v\n"
        "assert v.decode(v.encode({'a': [1, None, 'ä']})) == {'a': [1, None, 'ä']}\n"
        "assert v._encoder is v.encode_stdlib, v._encoder\n"
        "try: v.encode([float('nan')])\n"
        "except v.InvalidValue as error: print(error.pointer)\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.stdout, run.stderr) == ("/0\n", "")


def test_the_largest_float_and_negative_zero_survive() -> None:
    for encoder in (encode_orjson, encode_stdlib):
        found = decode(encoder([sys.float_info.max, -0.0]))
        assert found[0] == sys.float_info.max
        assert math.copysign(1, found[1]) == -1
