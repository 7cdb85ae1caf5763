// What may travel: the vectors that every SDK shares, and what JavaScript adds.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { InvalidValue, decode, encode } from "../nodeling.mjs";

const vectors = JSON.parse(fs.readFileSync(new URL("../../../tests/unit/value_vectors.json", import.meta.url), "utf8"));

/** Long texts of the vectors stand as lists of `[piece, times]`. */
function textOf(text) {
  return typeof text === "string" ? text : text.map(([piece, times]) => piece.repeat(times)).join("");
}

for (const { name, text, value, kind, pointer } of vectors.decode) {
  if (typeof text !== "string" && !Array.isArray(text)) continue; // bytes that are no text at all
  test(`decoding ${name}`, () => {
    if (kind === undefined) {
      assert.deepEqual(decode(textOf(text)), value);
      return;
    }
    // What is no JSON for JavaScript's own parser is a SyntaxError, with no place in the value.
    assert.throws(() => decode(textOf(text)), (error) => error instanceof SyntaxError || error instanceof InvalidValue);
    if (["integer", "number", "surrogate"].includes(kind) && pointer !== undefined) {
      assert.throws(() => decode(textOf(text)), (error) => error.pointer === pointer);
    }
  });
}

test("what travels in JavaScript", () => {
  const cases = [
    [undefined, "null"],
    [{ a: undefined, b: null }, '{"b":null}'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [10n, "10"],
    [[2n, { n: -3n }], '[2,{"n":-3}]'],
    [1e20, "1e+20"],
    [{ deep: [2 ** 60, 1.5] }, `{"deep":[${(2 ** 60).toExponential()},1.5]}`],
    [Object.create(null), "{}"],
    ["\u2028 \u0000 😀", JSON.stringify("\u2028 \u0000 😀")],
  ];
  for (const [value, text] of cases) assert.equal(encode(value), text);
  class Point {
    x = 1;
  }
  assert.equal(encode(new Point()), '{"x":1}');
});

test("a float too large for an integer comes back as the same float", () => {
  for (const value of [2 ** 53, 1e20, 123456789012345680000, -(2 ** 70), 1e300, 5e-324, 0.1]) {
    assert.equal(JSON.parse(encode(value)), value);
    assert.equal(decode(encode(value)), value);
  }
});

test("what cannot travel is refused with its place", () => {
  const loop = {};
  loop.self = loop;
  const cases = [
    [{ a: [1, NaN] }, "/a/1"],
    [[Infinity], "/0"],
    [{ "a/b": { "c~": () => 1 } }, "/a~1b/c~0"],
    [new Map(), ""],
    [{ s: new Set() }, "/s"],
    [[undefined], "/0"],
    [Buffer.from("x"), ""],
    [Promise.resolve(1), ""],
    [2n ** 53n, ""],
    [Symbol("x"), ""],
    [["\ud800"], "/0"],
    [new Error("x"), ""],
  ];
  for (const [value, pointer] of cases) {
    assert.throws(() => encode(value), (error) => error instanceof InvalidValue && error.pointer === pointer);
  }
  assert.throws(() => encode(loop), /64 levels/);
  assert.throws(() => encode({ "\udc00": 1 }), /surrogate/);
});

test("depth: 64 levels travel, 65 do not, in both directions", () => {
  const nested = (levels) => "[".repeat(levels) + "]".repeat(levels);
  assert.equal(encode(decode(nested(64))), nested(64));
  assert.throws(() => decode(nested(65)), InvalidValue);
  assert.throws(() => encode(JSON.parse(nested(65))), InvalidValue);
});

test("a prototype never comes in by a key", () => {
  const found = decode('{"__proto__":{"polluted":true},"constructor":1}');
  assert.equal({}.polluted, undefined);
  assert.equal(encode(found), '{"__proto__":{"polluted":true},"constructor":1}');
});
