// The same as an async generator.

import run from "./stream_node.mjs";

/** Yield `n` chunks, each `{n, text}`, and return `returns`. */
export default async function* stream(ctx, inputs) {
  return yield* run(ctx, inputs);
}
