// One process as its host sees it, over pipes; the conformance kit looks at the rest.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseOptions } from "../nodeling.mjs";

const SDK = fileURLToPath(new URL("../nodeling.mjs", import.meta.url));

/** Start a node of this code and greet it; `send` a frame, `next` frame, `end` gives the exit status. */
async function started(code, words = [], channel = "pipes") {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "nodeling-js-"));
  fs.writeFileSync(path.join(folder, "node.mjs"), code.replaceAll("SDK", JSON.stringify(SDK)));
  const env = { PATH: process.env.PATH, NODELING: "1", NODELING_FDS: "3,4" };
  const command = [process.execPath, SDK, "--folder", folder, ...words];
  let child, input, output;
  if (channel === "sockets") { // which is what Node's own pipes are
    child = spawn(command[0], command.slice(1), { env, stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"] });
    [input, output] = child.stdio.slice(3);
  } else {
    execFileSync("mkfifo", [path.join(folder, "in"), path.join(folder, "out")]);
    child = spawn("/bin/sh", ["-c", 'exec "$@" 3<in 4>out', "sh", ...command], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    input = fs.createWriteStream(path.join(folder, "in"));
    output = fs.createReadStream(path.join(folder, "out"));
  }
  let logs = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (logs += data));
  const exited = new Promise((resolve) => child.on("exit", resolve));
  const lines = createInterface({ input: output })[Symbol.asyncIterator]();
  const features = ["log", "progress", "stream", "credit", "cancel"];
  const send = (method, params, id) => input.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  const next = async () => JSON.parse((await lines.next()).value);
  send("node/hello", { protocol: [1], features }, 1);
  const { result: about } = await next();
  const end = async () => {
    input.end();
    const status = await exited;
    fs.rmSync(folder, { recursive: true });
    return status;
  };
  return { send, next, end, about, logs: () => logs, call: (id, input, more = {}) => send("node/invoke", { input, ...more }, id) };
}

test("a plain function is serial, an async one takes as many calls as it may", async () => {
  const plain = await started("export default (ctx, inputs) => inputs.n + 1;", ["--concurrency", "8"]);
  assert.equal(plain.about.max_concurrency, 1);
  plain.call(2, { n: 41 });
  assert.equal((await plain.next()).result.output, 42);
  assert.equal(await plain.end(), 0);
  const loop = await started("export default async (ctx, inputs) => inputs.n + 1;", ["--concurrency", "8"]);
  assert.equal(loop.about.max_concurrency, 8);
  assert.ok(loop.about.features.includes("cancel"));
  assert.equal(await loop.end(), 0);
});

test("a host whose pipes are sockets is served from the event loop", async () => {
  const node = await started("export default (ctx, inputs) => { console.log('{}'); return inputs; };", [], "sockets");
  node.call(2, { a: 1 });
  assert.deepEqual((await node.next()).result.output, { a: 1 });
  assert.equal(await node.end(), 0);
  assert.match(node.logs(), /\{\}/);
});

test("a plain function may return a promise", async () => {
  const node = await started("export default (ctx, inputs) => new Promise((done) => setTimeout(done, 5, inputs));");
  node.call(2, { a: 1 });
  assert.deepEqual((await node.next()).result.output, { a: 1 });
  assert.equal(await node.end(), 0);
});

test("an error carries its code, its details and its causes", async () => {
  const node = await started(`import { NodeError } from SDK;
    export default function () {
      const cause = new TypeError("inner");
      throw new NodeError("too fast", { code: 5001, retryable: true, retryAfterMs: 20, details: { limit: 3 }, cause });
    }`);
  node.call(2, {});
  const { error } = await node.next();
  assert.equal(error.code, 5001);
  assert.deepEqual(error.data.cause, { type: "TypeError", message: "inner" });
  assert.deepEqual([error.data.retryable, error.data.retry_after_ms, error.data.details], [true, 20, { limit: 3 }]);
  await node.end();
});

test("a node that does not load fails its calls and says why", async () => {
  const node = await started("import './nowhere.mjs';");
  node.call(2, {});
  const { error } = await node.next();
  assert.equal(error.data.code, "node.import");
  assert.match(error.message, /nowhere/);
  await node.end();
});

test("a file without a node says what to write", async () => {
  const node = await started("export const run = 1;");
  node.call(2, {});
  assert.match((await node.next()).error.message, /export default function/);
  await node.end();
});

test("a cancel aborts the signal of an async function", async () => {
  const node = await started(`import { setTimeout as sleep } from "node:timers/promises";
    export default async (ctx) => { ctx.log("on"); await sleep(60000, null, { signal: ctx.signal }); };`);
  node.call(2, {});
  assert.equal((await node.next()).method, "node/log");
  node.send("node/cancel", { id: 2, reason: "user" });
  const { error } = await node.next();
  assert.deepEqual([error.code, error.data.started], [-32800, true]);
  await node.end();
});

test("a busy plain function does not keep a process whose host is gone", async () => {
  const node = await started("export default (ctx) => { ctx.log('on'); for (;;); };");
  node.call(2, {});
  assert.equal((await node.next()).method, "node/log");
  const before = Date.now();
  assert.equal(await node.end(), null); // killed by its own watcher
  assert.ok(Date.now() - before < 10000);
});

test("what arrives while a plain function is busy is neither lost nor reordered", async () => {
  const node = await started(`export default (ctx, inputs) => {
    const end = Date.now() + (inputs.ms ?? 0);
    while (Date.now() < end);
    return inputs;
  };`);
  node.call(2, { ms: 900 });
  for (let n = 3; n < 203; n += 1) node.call(n, { n, text: "é".repeat(n) });
  for (let n = 2; n < 203; n += 1) {
    const { id, result } = await node.next();
    assert.equal(id, n);
    if (n > 2) assert.equal(result.output.n, n);
  }
  assert.equal(await node.end(), 0);
});

test("variables: what was sent is read, what was not is refused, writes travel back", async () => {
  const node = await started(`export default (ctx) => {
    ctx.set("b", ctx.get("a") + 1);
    ctx.delete("c");
    return [ctx.vars, ctx.get("b"), ctx.get("c", "gone"), ctx.get("never", 7)];
  };`, ["--reads", "vars.*"]);
  node.call(2, {}, { context: { vars: { a: 1, c: 2 } } });
  const { result } = await node.next();
  assert.deepEqual(result.output, [{ a: 1, b: 2 }, 2, "gone", 7]);
  assert.deepEqual([result.vars, result.deleted], [{ b: 2 }, ["c"]]);
  await node.end();
});

test("bytes travel as a blob and are read back", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "nodeling-blobs-"));
  const node = await started("export default (ctx, { blob }) => blob ? ctx.openBlob(blob).text() : { file: ctx.writeBlob(Buffer.from('raw é'), 'text/plain') };");
  node.send("node/hello", { protocol: [1], features: ["blob"], blob_dir: folder }, 9);
  await node.next();
  node.call(10, {});
  const { output } = (await node.next()).result;
  assert.equal(output.file.$blob.encoding, "raw");
  node.call(11, { blob: output.file });
  assert.equal((await node.next()).result.output, "raw é");
  await node.end();
  fs.rmSync(folder, { recursive: true });
});

test("options", () => {
  assert.deepEqual(parseOptions(["--reads=vars.a,vars.b", "--concurrency", "3"]).reads, ["vars.a", "vars.b"]);
  assert.throws(() => parseOptions(["--nmae", "x"]), /'--nmae' is no option/);
  assert.throws(() => parseOptions(["--name"]), /needs a value/);
  assert.throws(() => parseOptions(["--concurrency", "0"]), /from 1 on/);
});

test("without a host it says how to run the node and leaves with 64", async () => {
  const child = spawn(process.execPath, [SDK], { env: { PATH: process.env.PATH }, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (data) => (said += data));
  assert.equal(await new Promise((resolve) => child.on("close", resolve)), 64);
  assert.match(said, /nodectl test/);
});
