// Evaluates JavaScript over contexts, as a judge of what nodeling makes of the same text.
// stdin: one JSON line {expressions, contexts}. stdout: one JSON line per expression, an array of [value] or 0.
"use strict";

function isJson(value) {
  if (value === null) return true;
  switch (typeof value) {
    case "boolean": return true;
    case "number": return Number.isFinite(value);
    case "string": return value.isWellFormed();
    case "object": {
      const parts = Array.isArray(value) ? value : Object.entries(value).flat();
      return parts.every(isJson);
    }
    default: return false;
  }
}

const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
for (const source of input.expressions) {
  const run = new Function("ctx", "data", "func", "vars", `"use strict"; return (${source});`);
  const results = input.contexts.map((ctx) => {
    try {
      const value = run(ctx, ctx.response.data, {}, ctx.vars);
      return isJson(value) ? [value] : 0;
    } catch {
      return 0;
    }
  });
  process.stdout.write(JSON.stringify(results) + "\n");
}
