// The kitchen sink: one node that does, on demand, everything the conformance cases look at.
// Every SDK ships the same one. `inputs.do` says what; the rest of `inputs` says how.

import fs from "node:fs";
import path from "node:path";
import { spawn, spawnSync } from "node:child_process";
import { NodeError } from "../nodeling.mjs";

console.log("kitchen sink imported"); // a node that prints while it is imported must hurt nobody

class RuntimeError extends Error {}
class ValueError extends Error {}

/** Block this thread, as a plain function that waits does. */
function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function fail(ctx, { message = "failed", code, retryable, retry_after_ms: retryAfterMs, details, causes = 0 }) {
  if (code !== undefined) throw new NodeError(message, { code, retryable, retryAfterMs, details });
  let cause;
  for (let depth = causes; depth > 0; depth -= 1) cause = new ValueError(`cause ${depth}`, { cause });
  throw new RuntimeError(message, { cause });
}

function print(ctx, { text, how, times = 1 }) {
  for (let count = 0; count < times; count += 1) {
    if (how === "native") fs.writeSync(1, `${text}\n`);
    else if (how === "stderr") process.stderr.write(Buffer.from(text, "latin1"));
    else if (how === "line") console.log(text);
    else process.stdout.write(text);
  }
  return times;
}

function spawnPrint(ctx, { lines, bytes }) {
  const script = `for (let n = 0; n < ${Number(lines)}; n += 1) console.log("grandchild", n, "x".repeat(80))`;
  const { status } = spawnSync(process.execPath, ["-e", script], { stdio: "inherit" });
  return { text: "y".repeat(bytes), exit: status };
}

function crash(ctx, { signal, exit }) {
  if (signal !== undefined) process.kill(process.pid, signal);
  process.exit(exit);
}

function odd(ctx, { what }) {
  const values = {
    nan: NaN,
    infinity: { deep: [Infinity] },
    integer: 2n ** 53n,
    object: () => {},
    bytes: Buffer.from("x"),
    surrogate: "\ud800",
    key: new Map([[1, 2]]),
  };
  return values[what];
}

function environment() {
  const fds = fs.existsSync("/proc/self/fdinfo") ? fs.readdirSync("/proc/self/fdinfo").map(Number) : [];
  return { names: Object.keys(process.env).sort(), inheritable: fds.filter((fd) => fd > 2 && isInheritable(fd)) };
}

function isInheritable(fd) {
  try {
    const [, flags] = /flags:\s*(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));
    return (parseInt(flags, 8) & 0o2000000) === 0; // close-on-exec
  } catch (error) {
    if (error.code === "ENOENT") return false; // the one that listed the others
    throw error;
  }
}

export const actions = {
  about: (ctx) => ({
    config: ctx.config,
    secrets: ctx.secrets,
    run_id: ctx.runId,
    step: ctx.step,
    attempt: ctx.attempt,
    idempotency_key: ctx.idempotencyKey,
    deadline: ctx.deadline === null ? null : ctx.deadline / 1000,
  }),
  big: (ctx, { bytes }) => "z".repeat(bytes),
  blob: (ctx, { value }) => ({ bytes: ctx.openBlob(value).bytes().length }),
  crash,
  echo: (ctx, { value = null }) => value,
  environment,
  fail,
  ignore_cancel: (ctx, { ms }) => {
    ctx.log("started");
    pause(ms);
    return "ignored";
  },
  leak_child: (ctx, { seconds }) => spawn("sleep", [String(seconds)], { stdio: "inherit" }).pid,
  log: (ctx, { message, level = "info", times = 1, data }) => {
    for (let count = 0; count < times; count += 1) ctx.log(message, data, level);
  },
  metric: (ctx, { name, value }) => ctx.metric(name, value),
  odd,
  print,
  progress: (ctx, { times }) => {
    for (let index = 1; index <= times; index += 1) ctx.progress(index, times, "working");
    return times;
  },
  read: (ctx, { vars = [], body }) => {
    const found = { vars: Object.fromEntries(vars.map((key) => [key, ctx.get(key)])) };
    return body ? { ...found, body: ctx.request.body } : found;
  },
  read_stdin: () => ({ native: fs.readFileSync(0, "utf8") }),
  sleep: (ctx, { ms, value = null }) => {
    ctx.log("started");
    const end = Date.now() + ms;
    while (Date.now() < end && !ctx.cancelled) pause(5);
    return value;
  },
  spawn_print: spawnPrint,
  spin: (ctx, { ms }) => {
    ctx.log("started");
    const end = Date.now() + ms;
    while (Date.now() < end) continue;
  },
  sum: (ctx, { values }) => values.reduce((total, value) => total + value, 0),
  work_dir: (ctx) => {
    fs.writeFileSync(path.join(ctx.workDir, "made.txt"), "here");
    return ctx.workDir;
  },
  write: (ctx, inputs) => {
    for (const [key, value] of Object.entries(inputs.set ?? {})) ctx.set(key, value);
    for (const key of inputs.delete ?? []) ctx.delete(key);
  },
};

/** Do what `inputs.do` says. */
export default function run(ctx, inputs) {
  return actions[inputs.do](ctx, inputs);
}
