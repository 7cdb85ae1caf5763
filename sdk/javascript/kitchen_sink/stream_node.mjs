// The kitchen sink's `stream`: a generator is another kind of function, so it is another entry.

/** Yield `n` chunks, each `{n, text}`, and return `returns`. */
export default function* run(ctx, { n = 0, bytes = 0, returns = null }) {
  for (let index = 0; index < n; index += 1) yield { n: index, text: "c".repeat(bytes) };
  return returns;
}
