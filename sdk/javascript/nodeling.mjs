// nodeling for JavaScript: runs one node for a host, over NSP/1 (docs/reference/protocol.md).
//
//     node nodeling.mjs --entry node.mjs --name my-node
//
// The entry's default export is the node: `(ctx, inputs) => output`. A plain function is called in this
// thread, one call after the other. An `async` one is served from the event loop, up to `--concurrency`
// calls at once, while a second thread reads. A generator streams: each `yield` is a chunk. One file, no
// dependency, Node 18 and later. Options: --folder --entry --name --version --concurrency --reads --env.
//
// Invariants: every request gets exactly one terminal frame; nothing that the node prints or reads touches
// the channel; when the host is gone this process is gone within two seconds, whatever its handlers do.

import fs from "node:fs";
import path from "node:path";
import { randomBytes } from "node:crypto";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

export const SDK_VERSION = "0.1.0";
export const PROTOCOL_VERSION = 1;

const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const SKIP_FACTOR = 4; // a longer line is not skipped any more: whoever writes it is broken
const HEAD_BYTES = 4096; // what is kept of a line that is skipped, to find its id in
const MAX_DEPTH = 64;
const ENVELOPE_DEPTH = 8; // the containers a frame may add around a value of the full depth
const LARGEST_JSON_BLOB = 256 * 1024 * 1024;
const PROGRESS_MS = 100; // at most ten a second for each call
const LOGS_A_SECOND = 1000;
const EXIT_GRACE_MS = 1000; // what running handlers get, once told, to clean up behind themselves
const LOOK_MS = 250; // how often the host is looked for while a plain function is busy
const ATOMIC_WRITE = 4096; // the kernel never mixes pipe writes up to this size with others
const SHARED_BYTES = 256 * 1024; // what may arrive while a plain function is busy; a pipe holds 64 KiB
const LEVELS = { debug: 0, info: 1, warning: 2, error: 3 };
const SERIAL_FEATURES = ["blob", "credit", "drain", "log", "progress", "stream"];
const LOOP_FEATURES = [...SERIAL_FEATURES, "cancel", "ping"].sort();
const CANCELLED = -32800;
const MASKED = "***";

// --- Errors ------------------------------------------------------------------------------------------

/** What a node throws to say which error it is; any other exception is a 4000 with its type and stack. */
export class NodeError extends Error {
  constructor(message, { code = 4000, retryable, retryAfterMs, details, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "NodeError";
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.details = details;
  }
}

/** A value is outside the profile; `pointer` says where. */
export class InvalidValue extends Error {
  constructor(pointer, said) {
    super(pointer ? `${said} (at ${pointer})` : said);
    this.name = "InvalidValue";
    this.pointer = pointer;
  }
}

class BlobError extends Error {}
class CallCancelled extends Error {}
class NotStarted extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
class NotLoaded extends Error {}

// --- Values: what may travel --------------------------------------------------------------------------

const SURROGATE = /\p{Cs}/u; // in a regular expression with the flag u only lone ones match

function pointerOf(parts) {
  return parts.map((part) => "/" + String(part).replace(/~/g, "~0").replace(/\//g, "~1")).join("");
}

/** A value as compact JSON on one line. Throws InvalidValue for what cannot travel. */
export function encode(value) {
  const walk = { path: [], isOdd: false };
  check(value === undefined ? null : value, walk, 0);
  const text = walk.isOdd ? write(value) : JSON.stringify(value === undefined ? null : value);
  if (text.includes("\\ud")) checkText(value, []);
  return text;
}

function check(value, walk, depth) {
  switch (typeof value) {
    case "string":
    case "boolean":
      return;
    case "number":
      checkNumber(value, walk);
      return;
    case "bigint":
      if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) {
        throw refusal(walk, "the integer is beyond ±(2^53 - 1), where languages differ; send it as text");
      }
      walk.isOdd = true;
      return;
    case "object":
      if (value !== null) checkObject(value, walk, depth);
      return;
    default:
      throw refusal(walk, `${typeof value === "undefined" ? "undefined" : `a ${typeof value}`} is no JSON value`);
  }
}

function checkNumber(value, walk) {
  if (!Number.isFinite(value)) throw refusal(walk, `${value} is no JSON number; use null instead`);
  // Such a number is a rounded one; with an exponent it travels as what it is, a float.
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) walk.isOdd = true;
}

function checkObject(value, walk, depth) {
  if (typeof value.toJSON === "function" && !ArrayBuffer.isView(value)) {
    const inner = value.toJSON();
    if (inner === value) throw refusal(walk, "its toJSON gives the object itself");
    check(inner, walk, depth);
    walk.isOdd ||= typeof inner === "number" || typeof inner === "bigint";
    return;
  }
  if (depth === MAX_DEPTH) throw refusal(walk, `the value is more than ${MAX_DEPTH} levels deep`);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      walk.path.push(index);
      check(value[index], walk, depth + 1);
      walk.path.pop();
    }
    return;
  }
  const tag = Object.prototype.toString.call(value);
  if (tag !== "[object Object]") throw refusal(walk, `${tag.slice(8, -1)} is no JSON value${advice(value)}`);
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (item === undefined) continue; // as JSON.stringify has it
    walk.path.push(key);
    check(item, walk, depth + 1);
    walk.path.pop();
  }
}

function refusal(walk, said) {
  return new InvalidValue(pointerOf(walk.path), said);
}

function advice(value) {
  if (value instanceof Set || value instanceof Map) return "; return an array or a plain object";
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return "; encode it as base64 text";
  return value instanceof Promise ? "; await it" : "";
}

function checkText(value, at) {
  if (typeof value === "string") {
    if (SURROGATE.test(value)) throw new InvalidValue(pointerOf(at), "the text holds a lone surrogate");
  } else if (value !== null && typeof value === "object") {
    const inner = typeof value.toJSON === "function" ? value.toJSON() : value;
    if (inner !== value) return checkText(inner, at);
    for (const key of Object.keys(value)) {
      if (SURROGATE.test(key)) throw new InvalidValue(pointerOf(at), "a key holds a lone surrogate");
      checkText(value[key], [...at, key]);
    }
  }
}

/** JSON of a checked value that holds numbers JSON.stringify would write as other numbers, or refuse. */
function write(value) {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number") {
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : JSON.stringify(value);
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (typeof value.toJSON === "function") return write(value.toJSON());
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  const kept = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${kept.map((key) => `${JSON.stringify(key)}:${write(value[key])}`).join(",")}}`;
}

/** The value that JSON text holds; of a key given twice the last wins. Throws SyntaxError, InvalidValue. */
export function decode(text) {
  const found = JSON.parse(text);
  const fault = faultOf(text, () => 0);
  if (fault) throw fault;
  return found;
}

/** What in valid JSON text is outside the profile; `base` gives how much deeper than 64 a place may be. */
function faultOf(text, base) {
  if (!isSuspect(text)) return null;
  return new Scan(text, base).run();
}

function isSuspect(text) {
  if (/\d{16}|\d[eE]\+?\d\d|\\u[dD][89a-fA-F]/.test(text)) return true;
  return countUpTo(text, "[", MAX_DEPTH) + countUpTo(text, "{", MAX_DEPTH) > MAX_DEPTH;
}

function countUpTo(text, mark, limit) {
  let count = 0;
  for (let at = text.indexOf(mark); at >= 0 && count <= limit; at = text.indexOf(mark, at + 1)) count += 1;
  return count;
}

const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const TEXT = /"(?:[^"\\]|\\.)*"/y;

/** Walks through valid JSON text, knowing at each place which keys lead there. */
class Scan {
  constructor(text, base) {
    this.text = text;
    this.base = base;
    this.at = 0;
    this.open = []; // true for an object, false for an array
    this.path = []; // for each of them the current key or index
    this.isKey = false;
  }

  run() {
    const { text } = this;
    while (this.at < text.length) {
      const said = this.token(text[this.at]);
      if (said) return new InvalidValue(pointerOf(this.path), said);
    }
    return null;
  }

  token(mark) {
    if (mark === '"') return this.string();
    if (mark === "-" || (mark >= "0" && mark <= "9")) return this.number();
    this.at += 1;
    if (mark === "{" || mark === "[") return this.enter(mark === "{");
    if (mark === "}" || mark === "]") {
      this.open.pop();
      this.path.pop();
      this.isKey = false;
    } else if (mark === "," && this.open.length) {
      this.isKey = this.open[this.open.length - 1];
      if (!this.isKey) this.path[this.path.length - 1] += 1;
    } else if (mark === ":") {
      this.isKey = false;
    }
    return null;
  }

  enter(isObject) {
    if (this.open.length >= MAX_DEPTH + this.base(this.path)) {
      return `the value is more than ${MAX_DEPTH} levels deep`;
    }
    this.open.push(isObject);
    this.path.push(isObject ? "" : 0);
    this.isKey = isObject;
    return null;
  }

  string() {
    TEXT.lastIndex = this.at;
    const [raw] = TEXT.exec(this.text);
    this.at += raw.length;
    const isOdd = /\\u[dD][89a-fA-F]/.test(raw) && SURROGATE.test(JSON.parse(raw));
    if (this.isKey) this.path[this.path.length - 1] = JSON.parse(raw);
    return isOdd ? "the text holds a lone surrogate, which is no character" : null;
  }

  number() {
    NUMBER.lastIndex = this.at;
    const [raw, fraction, exponent] = NUMBER.exec(this.text);
    this.at += raw.length;
    const value = Number(raw);
    if (!Number.isFinite(value) && (fraction || exponent)) return `the number ${raw.slice(0, 24)} is too large`;
    if (fraction || exponent || Number.isSafeInteger(value)) return null;
    return `the integer ${raw.slice(0, 24)} is beyond ±(2^53 - 1), where languages differ; send it as text`;
  }
}

/** How much deeper than 64 levels a place of a frame may be: what the envelope adds around a payload. */
function envelopeDepth(place) {
  if (place[0] !== "params") return ENVELOPE_DEPTH;
  if (place[1] === "input" || place[1] === "config" || place[1] === "data") return 2;
  return place[1] === "context" && place[2] === "vars" ? 3 : ENVELOPE_DEPTH;
}

// --- Framing: lines in, frames out --------------------------------------------------------------------

/** Cuts bytes into lines, in memory bounded by the cap on one line. */
class LineReader {
  constructor() {
    this.maxBytes = MAX_FRAME_BYTES;
    this.parts = [];
    this.size = 0;
    this.head = null; // of a line that is being skipped
    this.isLost = false;
  }

  /** Calls `take(line)` for each whole line, or `take(null, head, size)` for one over the cap. */
  feed(data, take) {
    let start = 0;
    while (!this.isLost) {
      const end = data.indexOf(10, start);
      if (end < 0) {
        if (start < data.length) this.hold(data.subarray(start));
        this.isLost ||= this.size > SKIP_FACTOR * this.maxBytes;
        return;
      }
      this.finish(data.subarray(start, end), take);
      start = end + 1;
    }
  }

  hold(piece) {
    this.size += piece.length;
    if (this.head !== null) return;
    this.parts.push(Buffer.from(piece)); // the buffer it lies in is read into again
    if (this.size > this.maxBytes + 1) { // one more, which may be a carriage return
      this.head = Buffer.concat(this.parts).subarray(0, HEAD_BYTES);
      this.parts = [];
    }
  }

  finish(piece, take) {
    let line = piece;
    if (this.parts.length || this.head !== null) {
      this.hold(piece);
      const { head, size } = this;
      line = head === null ? Buffer.concat(this.parts) : null;
      this.parts = [];
      this.size = 0;
      this.head = null;
      if (head !== null) return take(null, head, size);
    }
    if (line.length && line[line.length - 1] === 13) line = line.subarray(0, -1);
    if (line.length > this.maxBytes) return take(null, line.subarray(0, HEAD_BYTES), line.length);
    return take(line);
  }
}

/** The text of a line, or null when it is not UTF-8. */
function textOf(line) {
  const text = line.toString("utf8");
  if (text.includes("\ufffd") && !Buffer.from(text, "utf8").equals(line)) return null;
  return text;
}

const HEAD_ID = /^\s*\{(?:\s*"(?:jsonrpc|method)"\s*:\s*"[^"]*"\s*,)*\s*"id"\s*:\s*(-?\d+|"(?:[^"\\]|\\.)*")\s*[,}]/;

function idInHead(head) {
  const found = HEAD_ID.exec(head.toString("utf8"));
  return found ? JSON.parse(found[1]) : null;
}

function isId(value) {
  return typeof value === "string" || Number.isSafeInteger(value);
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function errorBody(code, message, data) {
  const { details, ...rest } = data;
  const body = { type: "NodeError" };
  for (const [name, value] of Object.entries(rest)) if (value !== undefined && value !== null) body[name] = value;
  let number = code;
  let more = details;
  if (typeof code !== "number" || !Number.isSafeInteger(code)) {
    number = 4000;
    body.code = String(code);
  } else if (code >= 9000 && code <= 9999) { // those are the host's
    number = 4000;
    more = { ...details, code };
  }
  if (more !== undefined && more !== null) body.details = isObject(more) ? more : { details: more };
  return { code: number, message: clean(message).slice(0, 65536), data: body };
}

/** Text without lone surrogates, which no frame may hold. */
function clean(text) {
  return SURROGATE.test(text) ? Buffer.from(text, "utf8").toString("utf8") : text;
}

// --- Blobs: values by reference -----------------------------------------------------------------------

/** A reference that means a blob, unlike a node's own object that has a key `$blob`. */
export class BlobRef {
  constructor(about) {
    this.$blob = about;
  }
}

function isReference(value) {
  return isObject(value) && isObject(value.$blob) && Object.keys(value).length === 1;
}

/** A parsed value as a node reads it, changed in place: JSON blobs read, others marked, keys unescaped. */
function resolveBlobs(value, folder) {
  if (value === null || typeof value !== "object") return value;
  if (isReference(value)) {
    return value.$blob.encoding === "json" ? readJsonBlob(value, folder) : new BlobRef(value.$blob);
  }
  for (const key of Object.keys(value)) {
    const item = resolveBlobs(value[key], folder);
    const name = /^\$\$+blob$/.test(key) ? key.slice(1) : key;
    if (name !== key) delete value[key];
    Object.defineProperty(value, name, { value: item, writable: true, enumerable: true, configurable: true });
  }
  return value;
}

function escapeBlobs(value) {
  if (value === null || typeof value !== "object" || value instanceof BlobRef) return value;
  if (typeof value.toJSON === "function") return value;
  if (Array.isArray(value)) return value.map(escapeBlobs);
  const pairs = Object.entries(value).map(([key, item]) => [/^\$+blob$/.test(key) ? `$${key}` : key, escapeBlobs(item)]);
  return Object.fromEntries(pairs);
}

function readJsonBlob(reference, folder) {
  const bytes = openBlob(reference, folder).bytes(LARGEST_JSON_BLOB);
  const text = textOf(bytes);
  if (text === null) throw new BlobError("the blob is not UTF-8");
  try {
    return decode(text);
  } catch (error) {
    throw new BlobError(`the blob is no JSON value: ${error.message}`);
  }
}

function openBlob(reference, folder) {
  const about = isObject(reference) ? reference.$blob : undefined;
  if (!isObject(about) || typeof about.path !== "string") throw new BlobError("this is no reference to a blob");
  if (folder === null) throw new BlobError("the host named no blob folder");
  const name = about.path;
  if (!name || name.includes("/") || name.includes("\0") || name === "." || name === "..") {
    throw new BlobError(`the blob ${JSON.stringify(name)} is not a plain name in the blob folder`);
  }
  return new Blob(path.join(folder, name), about);
}

/** A file of the blob folder: opened without following links, a regular file of the promised size. */
class Blob {
  constructor(file, about) {
    this.file = file;
    this.size = about.size;
    this.mediaType = about.media_type;
    fs.closeSync(this.open());
  }

  open() {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants; // opening a FIFO would wait for a writer
    let descriptor;
    try {
      descriptor = fs.openSync(this.file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      throw new BlobError(`the blob ${path.basename(this.file)} cannot be opened: ${error.code}`);
    }
    const status = fs.fstatSync(descriptor);
    if (status.isFile() && status.size === this.size) return descriptor;
    fs.closeSync(descriptor);
    const what = status.isFile() ? `has ${status.size} bytes, not ${this.size}` : "is no regular file";
    throw new BlobError(`the blob ${path.basename(this.file)} ${what}`);
  }

  bytes(most = Infinity) {
    if (this.size > most) throw new BlobError(`the blob is over ${most} bytes; read it as a stream`);
    const descriptor = this.open();
    try {
      return fs.readFileSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  }

  text() {
    return this.bytes().toString("utf8");
  }

  stream() {
    return fs.createReadStream(this.file, { fd: this.open(), autoClose: true });
  }
}

function writeBlob(folder, data, mediaType, encoding) {
  const name = `n-${randomBytes(16).toString("hex")}`;
  const target = path.join(folder, name);
  try {
    fs.writeFileSync(`${target}.tmp`, data, { flag: "wx", mode: 0o600 });
    fs.renameSync(`${target}.tmp`, target);
  } catch (error) {
    fs.rmSync(`${target}.tmp`, { force: true });
    throw error;
  }
  return new BlobRef({ path: name, size: Buffer.byteLength(data), media_type: mediaType, encoding });
}

// --- What a node may say and see ----------------------------------------------------------------------

/** Knows the secrets of one call, and keeps them out of every text that leaves this process. */
class Mask {
  constructor(secrets) {
    const words = new Set();
    for (const secret of secrets) {
      if (typeof secret !== "string" || !secret.trim()) continue;
      words.add(secret);
      const lines = secret.split(/\r?\n/).map((line) => line.trim());
      if (lines.length > 1) for (const line of lines) if (line.length >= 8) words.add(line);
    }
    this.words = [...words].sort((a, b) => b.length - a.length);
  }

  text(text) {
    return this.words.reduce((found, word) => found.replaceAll(word, MASKED), text);
  }

  value(value) {
    if (!this.words.length) return value;
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.text(key), this.value(item)]));
  }
}

function notSent(word) {
  const hint = `add "${word}" to \`reads\` in its config.json`;
  return new NodeError(`this node does not declare that it reads '${word}'; ${hint}`, { code: "context.not_sent" });
}

/** One call's view of its run, and its way to write to it. */
class Context {
  #call;
  #sent;
  #delta = new Map();
  #log = null;
  #signal = null;
  #workDir = null;

  constructor(call) {
    const { invoke, worker } = call;
    this.#call = call;
    this.#sent = invoke.context;
    this.runId = String(this.#sent.run_id ?? "");
    this.step = String(this.#sent.step ?? "");
    this.attempt = this.#sent.attempt ?? 1;
    this.idempotencyKey = String(this.#sent.idempotency_key ?? "");
    this.deadline = invoke.deadline;
    this.config = invoke.config;
    this.secrets = invoke.secrets;
    this.env = worker.env;
  }

  /** Log a line: `ctx.log("text", {rows: 3})`, `ctx.log.warning("text")`. */
  get log() {
    if (this.#log === null) {
      const call = this.#call;
      this.#log = (message, data, level = "info") => call.log(level, message, data);
      for (const level of Object.keys(LEVELS)) this.#log[level] = (message, data) => call.log(level, message, data);
    }
    return this.#log;
  }

  progress(done, total, message) {
    this.#call.progress({ done, total, message });
  }

  metric(name, value) {
    if (!Number.isFinite(value)) throw new TypeError(`the metric ${name} is a finite number, not ${value}`);
    this.#call.metrics[name] = value;
  }

  /** Every variable that was sent, with what this call wrote. */
  get vars() {
    const sent = isObject(this.#sent.vars) ? this.#sent.vars : {};
    if (!Object.keys(sent).length && !this.#call.worker.reads.some((word) => word.startsWith("vars."))) {
      throw notSent("vars.*");
    }
    const pairs = new Map(Object.entries(sent));
    for (const [key, text] of this.#delta) text === null ? pairs.delete(key) : pairs.set(key, JSON.parse(text));
    return Object.fromEntries(pairs);
  }

  get(key, fallback = undefined) {
    if (this.#delta.has(key)) {
      const text = this.#delta.get(key);
      return text === null ? fallback : JSON.parse(text);
    }
    if (isObject(this.#sent.vars) && Object.hasOwn(this.#sent.vars, key)) return this.#sent.vars[key];
    this.#declared(`vars.${key}`, "vars.*");
    return fallback;
  }

  set(key, value) {
    this.#delta.set(keyOf(key), encode(value));
  }

  delete(key) {
    this.#delta.set(keyOf(key), null);
  }

  /** What started the run: `body`, `headers`, `query`, `params`, `method`, `path`. */
  get request() {
    const part = (name) => {
      const sent = this.#sent.request;
      if (isObject(sent) && Object.hasOwn(sent, name)) return sent[name];
      this.#declared(`request.${name}`, "request.*", "request");
      return null;
    };
    const found = {};
    for (const name of ["body", "headers", "query", "params", "method", "path"]) {
      Object.defineProperty(found, name, { get: () => part(name), enumerable: true });
    }
    return found;
  }

  get response() {
    if (this.#sent.response === undefined) this.#declared("response");
    return this.#sent.response ?? null;
  }

  get error() {
    return this.#sent.error ?? null;
  }

  get cancelled() {
    return this.#call.isCancelled || this.#call.worker.isHungUp;
  }

  /** Aborted when the call shall end: for `fetch`, timers, streams. */
  get signal() {
    if (this.#signal === null) {
      const controller = new AbortController();
      this.#signal = controller.signal;
      this.#call.whenCancelled(() => controller.abort(new DOMException("the call was cancelled", "AbortError")));
    }
    return this.#signal;
  }

  /** Milliseconds left until the deadline; null when there is none. */
  remaining() {
    return this.deadline === null ? null : this.deadline - Date.now();
  }

  /** A private folder for this call, made on first use and removed when the call ends. */
  get workDir() {
    return (this.#workDir ??= this.#call.makeWorkDir());
  }

  openBlob(reference) {
    return openBlob(reference, this.#call.worker.blobDir);
  }

  /** Put bytes beside the frames; return what comes back as (a part of) the output. */
  writeBlob(bytes, mediaType = "application/octet-stream") {
    const { worker } = this.#call;
    if (!worker.spills) throw new BlobError("the host named no blob folder");
    return writeBlob(worker.blobDir, bytes, mediaType, "raw");
  }

  _delta() {
    return this.#delta;
  }

  #declared(...words) {
    if (!words.some((word) => this.#call.worker.reads.includes(word))) throw notSent(words[0]);
  }
}

function keyOf(key) {
  if (typeof key === "string" && key) return key;
  throw new NodeError(`a context key is a non-empty string, not ${String(key)}`, { code: "context.key" });
}

// --- One call -----------------------------------------------------------------------------------------

class Call {
  constructor(worker, invoke) {
    this.worker = worker;
    this.invoke = invoke;
    this.id = invoke.id;
    this.isCancelled = false;
    this.metrics = {};
    this.chunks = 0;
    this.context = null;
    this.dropped = 0;
    const stream = invoke.meta.stream;
    this.streams = worker.features.has("stream") && (isObject(stream) || stream === true);
    const granted = isObject(stream) ? stream.credit : undefined;
    this.credit = worker.features.has("credit") && Number.isSafeInteger(granted) ? granted : Infinity;
    this.level = LEVELS[invoke.meta.log_level ?? worker.logLevel] ?? 1;
    this.mask = new Mask(Object.values(invoke.secrets));
    this.listeners = [];
    this.folder = null;
    this.waiting = null; // the generator that waits for credit
    this.last = null; // progress that was not told yet
    this.due = 0;
    this.window = 0;
    this.logs = 0;
  }

  /** The context and the inputs; or an exception that ends the call before the node ran. */
  begin() {
    const { invoke, worker } = this;
    if (this.isCancelled) throw new CallCancelled();
    if (invoke.deadline !== null && invoke.deadline <= Date.now()) {
      throw new NotStarted(5004, "the deadline had passed when the call arrived");
    }
    if (worker.name && invoke.node && invoke.node !== worker.name) {
      throw new NotStarted(4004, `this process runs '${worker.name}', not '${invoke.node.slice(0, 200)}'`);
    }
    const inputs = invoke.mayHoldBlobs ? resolveBlobs(invoke.input, worker.blobDir) : invoke.input;
    this.context = new Context(this);
    return inputs;
  }

  /** A value as the text that travels, put into a blob when it is large. */
  checked(value) {
    let text = encode(value);
    if (text.includes('blob"')) text = encode(escapeBlobs(value));
    const { worker } = this;
    if (worker.spills && text.length * 3 >= worker.spillBytes && !(value instanceof BlobRef)) {
      if (Buffer.byteLength(text) >= worker.spillBytes) {
        return JSON.stringify(writeBlob(worker.blobDir, text, "application/json", "json"));
      }
    }
    return text;
  }

  result(output) {
    if (this.isCancelled) throw new CallCancelled();
    let body = `"output":${this.checked(output)}`;
    const delta = this.context._delta();
    if (delta.size) body += this.written(delta);
    this.flushProgress();
    if (this.chunks) body += `,"chunks":${this.chunks}`;
    if (this.dropped) this.metrics.dropped = this.dropped;
    if (Object.keys(this.metrics).length) body += `,"metrics":${encode(this.metrics)}`;
    this.worker.end(this, `"result":{${body}}`);
  }

  written(delta) {
    const kept = [...delta].filter(([, text]) => text !== null);
    const gone = [...delta].filter(([, text]) => text === null).map(([key]) => key);
    const escaped = (text) => (text.includes('blob"') ? encode(escapeBlobs(JSON.parse(text))) : text);
    let body = "";
    if (kept.length) body += `,"vars":{${kept.map(([key, text]) => `${encode(key)}:${escaped(text)}`).join(",")}}`;
    if (gone.length) body += `,"deleted":${encode(gone)}`;
    return body;
  }

  failure(error) {
    let [code, message, data] = this.describe(error);
    message = this.mask.text(message);
    for (const name of ["details", "traceback", "cause"]) if (data[name]) data[name] = this.mask.value(data[name]);
    this.flushProgress();
    let body;
    try {
      body = encode(errorBody(code, message, data));
    } catch (fault) {
      message = `${message} (its details cannot travel: ${fault.message})`;
      body = encode(errorBody(code, message, { type: data.type, retryable: data.retryable }));
    }
    this.worker.end(this, `"error":${body}`);
  }

  describe(error) {
    if (this.isCancelled || error instanceof CallCancelled) {
      return [CANCELLED, "cancelled", { type: "Cancelled", retryable: false, started: this.context !== null }];
    }
    if (error instanceof NotStarted) return [error.code, error.message, { started: false }];
    if (error instanceof InvalidValue) {
      return [4006, `the output is no JSON value: ${error.message}`, { type: "InvalidOutput", retryable: false }];
    }
    if (error instanceof BlobError) return [4001, error.message, { type: "BlobError", retryable: false }];
    if (error instanceof NotLoaded) {
      const { cause } = error;
      const data = { type: typeOf(cause), retryable: false, traceback: traceOf(cause) };
      return ["node.import", `its code does not load: ${said(cause)}`, data];
    }
    return describeThrown(error);
  }

  // What the node tells on the way.

  log(level, message, data) {
    if ((LEVELS[level] ?? 1) < this.level || !this.worker.features.has("log")) return;
    const now = Date.now();
    if (now - this.window >= 1000) {
      this.window = now;
      this.logs = 0;
    }
    this.logs += 1;
    if (this.logs > LOGS_A_SECOND) {
      this.dropped += 1;
      return;
    }
    const params = { id: this.id, level: String(level), message: clean(this.mask.text(String(message))) };
    if (data !== undefined) {
      try {
        params.data = this.mask.value(JSON.parse(encode(data)));
      } catch (fault) {
        params.data = clean(this.mask.text(`${String(data)} (${fault.message})`));
      }
    }
    this.worker.tell(this, `{"jsonrpc":"2.0","method":"node/log","params":${JSON.stringify(params)}}\n`);
  }

  progress(seen) {
    if (!this.invoke.meta.progress || !this.worker.features.has("progress")) return;
    this.last = seen;
    if (Date.now() >= this.due) this.flushProgress();
  }

  flushProgress() {
    if (this.last === null) return;
    const { done, total, message } = this.last;
    this.last = null;
    this.due = Date.now() + PROGRESS_MS;
    if (!Number.isFinite(done) || (total !== undefined && total !== null && !Number.isFinite(total))) {
      this.dropped += 1;
      return;
    }
    const params = { id: this.id, progress: done };
    if (total !== undefined && total !== null) params.total = total;
    if (message !== undefined && message !== null) params.message = clean(this.mask.text(String(message)));
    this.worker.tell(this, `{"jsonrpc":"2.0","method":"node/progress","params":${JSON.stringify(params)}}\n`);
  }

  /** Send one part of the output; its credit is there. */
  sendChunk(text) {
    const frame = `{"jsonrpc":"2.0","method":"node/chunk","params":{"id":${JSON.stringify(this.id)},"seq":${this.chunks},"data":${text}}}\n`;
    if (Buffer.byteLength(frame) - 1 > this.worker.maxFrameBytes) {
      const what = `a chunk of ${text.length} characters is over the cap of ${this.worker.maxFrameBytes} bytes`;
      throw new NodeError(what, { code: 4005, retryable: false });
    }
    this.worker.tell(this, frame);
    this.chunks += 1;
  }

  get mustWait() {
    return this.chunks >= this.credit && !this.isCancelled;
  }

  grant(n) {
    this.credit += n;
    this.wake();
  }

  wake() {
    const wake = this.waiting;
    this.waiting = null;
    if (wake !== null) wake();
  }

  cancel() {
    if (this.isCancelled) return;
    this.isCancelled = true;
    for (const listener of this.listeners) listener();
    this.wake();
  }

  whenCancelled(listener) {
    if (this.isCancelled) listener();
    else this.listeners.push(listener);
  }

  makeWorkDir() {
    const given = this.invoke.context.work_dir;
    if (typeof given === "string" && given) {
      fs.mkdirSync(given, { recursive: true, mode: 0o700 });
      return given;
    }
    this.folder = fs.mkdtempSync(path.join(process.env.TMPDIR || "/tmp", "call-"));
    return this.folder;
  }

  cleanUp() {
    if (this.folder !== null) fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

function describeThrown(error) {
  const type = typeOf(error);
  const cause = causeOf(error, 5);
  if (error instanceof Error && error.name === "NodeError") {
    const { retryable, retryAfterMs, details, code = 4000 } = error;
    const data = { retryable, retry_after_ms: retryAfterMs, details, cause };
    return [code, error.message, typeof code === "string" ? { ...data, type: "NodelingError" } : data];
  }
  return [4000, said(error), { type, traceback: traceOf(error), cause }];
}

function typeOf(error) {
  if (!(error instanceof Error)) return error === null ? "null" : typeof error;
  const own = error.constructor?.name;
  return error.name === "Error" && own ? own : String(error.name);
}

function said(error) {
  const type = typeOf(error);
  if (error instanceof Error) return error.message ? `${type}: ${error.message}` : type;
  try {
    return `${type}: ${typeof error === "string" ? error : encode(error)}`;
  } catch {
    return type; // what was thrown is no value, and its kind is all that can be said
  }
}

const OWN_FILE = import.meta.url;

function traceOf(error) {
  if (!(error instanceof Error) || typeof error.stack !== "string") return undefined;
  const lines = error.stack.split("\n").filter((line) => !line.includes(OWN_FILE) && !line.includes("(node:internal"));
  const bytes = Buffer.from(lines.join("\n"), "utf8");
  return bytes.length <= 32768 ? clean(lines.join("\n")) : bytes.subarray(-32760).toString("utf8").replace(/^\ufffd+/, "");
}

function causeOf(error, depth) {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof Error) || depth === 0) return undefined;
  const inner = causeOf(cause, depth - 1);
  const found = { type: typeOf(cause), message: clean(cause.message) };
  return inner === undefined ? found : { ...found, cause: inner };
}

// --- The channel --------------------------------------------------------------------------------------

/** Whether a descriptor is a pipe that can be opened anew; sockets and terminals cannot. */
function isPipe(descriptor) {
  return fs.fstatSync(descriptor).isFIFO() && fs.existsSync("/proc/self/fd");
}

/** A copy of a pipe's end that no child inherits, on a description of its own; the original is closed. */
function moved(descriptor, flags) {
  const copy = fs.openSync(`/proc/self/fd/${descriptor}`, flags);
  fs.closeSync(descriptor);
  return copy;
}

/** The pipes that NODELING_FDS names, else stdin and stdout moved out of everybody's way. */
function openChannel() {
  const named = process.env.NODELING_FDS;
  delete process.env.NODELING_FDS;
  if (named !== undefined) {
    const [reader, writer] = named.split(",").map(Number);
    try {
      if (!isPipe(reader) || !isPipe(writer)) return { reader, writer }; // Node keeps them from its children
    } catch {
      throw new Error(`NODELING_FDS=${JSON.stringify(named)} names no two open pipes`);
    }
    return { reader: moved(reader, "r"), writer: moved(writer, "w") };
  }
  if (!isPipe(0) || !isPipe(1) || !isPipe(2)) {
    // What cannot be opened anew cannot be moved: printing is kept off the channel, native writes are not.
    process.stdout.write = process.stderr.write.bind(process.stderr);
    return { reader: 0, writer: 1 };
  }
  const reader = moved(0, "r");
  fs.openSync("/dev/null", "r"); // takes the lowest number that is free, which is 0
  const writer = moved(1, "w");
  fs.openSync("/proc/self/fd/2", "a"); // likewise 1
  return { reader, writer };
}

function writeAll(descriptor, data) {
  let rest = data;
  while (rest.length) {
    try {
      rest = rest.subarray(fs.writeSync(descriptor, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") process.kill(process.pid, "SIGKILL"); // nobody listens any more
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

// Cells that two threads share. LINE: who reads, with a plain function. LOCK: who writes a long frame.
// INFLIGHT: calls taken on; POSTED: calls on their way to the main thread. SIZE: bytes read in its place.
const [LINE, LOCK, HUNG, INFLIGHT, POSTED, SIZE, CAP, NEVER] = [0, 1, 2, 3, 4, 5, 6, 7];
const [READING, BUSY, WATCHING] = [0, 1, 2]; // values of LINE: the main thread, nobody, the watcher

// --- The worker ---------------------------------------------------------------------------------------

/** What the calls of one process share. */
class NodeWorker {
  constructor(channel, options, handler, loadError) {
    this.reader = channel.reader;
    this.writer = channel.writer;
    this.isPipe = isPipe(channel.writer); // a socket may take a part of what is written
    this.handler = handler;
    this.loadError = loadError;
    this.name = options.name;
    this.reads = options.reads;
    this.env = Object.fromEntries(options.env.filter((name) => name in process.env).map((name) => [name, process.env[name]]));
    const kind = handler === null ? "Function" : handler.constructor.name;
    const isAsync = kind.startsWith("Async");
    this.isGenerator = kind.endsWith("GeneratorFunction");
    this.concurrency = isAsync ? options.concurrency : 1; // a host starts more processes for plain functions
    this.isSerial = !isAsync && isPipe(channel.reader); // the watcher opens the pipe anew
    this.claimed = this.isSerial ? SERIAL_FEATURES : LOOP_FEATURES;
    this.about = {
      protocol: PROTOCOL_VERSION,
      node: { name: options.name, version: options.version },
      sdk: { name: "nodeling", version: SDK_VERSION, language: "javascript" },
      features: this.claimed,
      max_concurrency: this.concurrency,
    };
    this.features = new Set();
    this.blobDir = null;
    this.spillBytes = 1024 * 1024;
    this.maxFrameBytes = MAX_FRAME_BYTES;
    this.logLevel = "info";
    this.calls = new Map();
    this.queue = []; // calls that were taken on and have not begun
    this.running = 0;
    this.shutdown = null;
    this.lines = new LineReader();
    this.shared = new SharedArrayBuffer(32 + SHARED_BYTES);
    this.cells = new Int32Array(this.shared, 0, 8);
    this.cells[CAP] = MAX_FRAME_BYTES;
    this.thread = null;
  }

  get spills() {
    return this.blobDir !== null && this.features.has("blob");
  }

  get isHungUp() {
    return Atomics.load(this.cells, HUNG) === 1;
  }

  // What comes in.

  line(line, head, size) {
    if (line === null) return this.oversize(head, size);
    const text = textOf(line);
    if (text === null) return this.refuse(null, -32700, "the line is not UTF-8");
    if (!text.trim()) return undefined;
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      return this.refuse(null, -32700, `not JSON: ${error.message.slice(0, 200)}`);
    }
    if (!isObject(message)) return this.refuse(null, -32600, "a frame is one object");
    return this.frame(message, text);
  }

  oversize(head, size) {
    const what = `a frame of ${size} bytes is over the cap of ${this.maxFrameBytes}`;
    const id = idInHead(head);
    if (id !== null && !this.calls.has(id)) this.refuse(id, 4005, what);
    else this.refuse(null, -32600, what);
  }

  frame(message, text) {
    const { jsonrpc, method, id, params = {} } = message;
    const hasId = Object.hasOwn(message, "id");
    if (jsonrpc !== "2.0" || typeof method !== "string") {
      if (!("result" in message || "error" in message)) {
        this.refuse(isId(id) && !this.calls.has(id) ? id : null, -32600, 'a frame has "jsonrpc":"2.0" and a method');
      }
      return;
    }
    const fault = faultOf(text, envelopeDepth);
    if (!hasId) {
      if (fault === null && isObject(params)) this.notification(method, params);
    } else if (!isId(id)) {
      this.refuse(null, -32600, "the id of a request is an integer or a text");
    } else if (this.calls.has(id)) {
      return; // an answer would be a second one for the call of this id
    } else if (fault !== null) {
      const what = `the call holds what cannot travel: ${fault.message}`;
      this.refuse(id, 4001, what, { retryable: false, started: false });
    } else if (!isObject(params)) {
      this.refuse(id, -32602, "params is an object");
    } else {
      this.request(id, method, params, text);
    }
  }

  request(id, method, params, text) {
    if (method === "node/invoke") this.invoke(id, params, text);
    else if (method === "node/hello") this.hello(id, params);
    else if (method === "node/shutdown") {
      this.shutdown = id;
      this.leaveIfDrained();
    } else this.refuse(id, -32601, `this node does not know '${method.slice(0, 100)}'`);
  }

  hello(id, params) {
    const { protocol, features, limits, blob_dir: blobDir, log_level: logLevel } = params;
    if (!Array.isArray(protocol) || !protocol.includes(PROTOCOL_VERSION)) {
      const what = `this node speaks protocol ${PROTOCOL_VERSION}, the host ${JSON.stringify(protocol)}`;
      this.refuse(id, 4100, what, { supported: [PROTOCOL_VERSION] });
      return;
    }
    this.features = new Set(this.claimed.filter((name) => Array.isArray(features) && features.includes(name)));
    const { max_frame_bytes: cap, spill_bytes: spill } = isObject(limits) ? limits : {};
    if (Number.isSafeInteger(cap) && cap > 0) this.maxFrameBytes = this.lines.maxBytes = cap;
    Atomics.store(this.cells, CAP, Math.min(this.maxFrameBytes, 0x7fffffff));
    this.spillBytes = Number.isSafeInteger(spill) && spill > 0 ? spill : 1024 * 1024;
    this.blobDir = typeof blobDir === "string" ? blobDir : null;
    this.logLevel = typeof logLevel === "string" ? logLevel : "info";
    this.say(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${encode(this.about)}}\n`);
  }

  invoke(id, params, text) {
    if (this.shutdown !== null) {
      this.refuse(id, 5002, "this process takes no more calls", { started: false });
      return;
    }
    const { node = "", deadline } = params;
    const parts = {};
    for (const name of ["config", "secrets", "context", "_meta"]) {
      parts[name] = params[name] ?? {};
      if (isObject(parts[name])) continue;
      this.refuse(id, -32602, `${name} has the wrong type`);
      return;
    }
    if (typeof node !== "string") return this.refuse(id, -32602, "node has the wrong type");
    const invoke = {
      id,
      node,
      input: params.input ?? null,
      config: parts.config,
      secrets: parts.secrets,
      context: parts.context,
      meta: parts._meta,
      deadline: typeof deadline === "number" ? deadline : null,
      mayHoldBlobs: text.includes("blob") || text.includes("\\u00"),
    };
    const call = new Call(this, invoke);
    this.calls.set(id, call);
    Atomics.store(this.cells, INFLIGHT, this.calls.size);
    this.queue.push(call);
    return undefined;
  }

  notification(method, params) {
    const call = this.calls.get(params.id);
    if (call === undefined) return;
    if (method === "node/cancel") call.cancel();
    else if (method === "node/credit" && Number.isSafeInteger(params.n) && params.n > 0) call.grant(params.n);
  }

  // What goes out.

  say(frame) {
    if (this.isPipe && frame.length * 3 <= ATOMIC_WRITE) {
      try {
        fs.writeSync(this.writer, frame);
        return;
      } catch (error) {
        if (error.code !== "EAGAIN") process.kill(process.pid, "SIGKILL"); // nobody listens any more
      }
    }
    // The other thread answers pings; its answer must not land in the middle of a long frame.
    while (Atomics.compareExchange(this.cells, LOCK, 0, 1) !== 0) Atomics.wait(this.cells, LOCK, 1, 10);
    writeAll(this.writer, Buffer.from(frame, "utf8"));
    Atomics.store(this.cells, LOCK, 0);
    Atomics.notify(this.cells, LOCK);
  }

  /** A notification of a call; nothing is said of a call that was answered. */
  tell(call, frame) {
    if (this.calls.get(call.id) !== call) return;
    if (frame.length <= this.maxFrameBytes) this.say(frame);
    else call.dropped += 1;
  }

  refuse(id, code, message, data = {}) {
    const body = encode(errorBody(code, message, { type: "ProtocolError", ...data }));
    this.say(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${body}}\n`);
  }

  /** The terminal frame of a call. */
  end(call, body) {
    call.cleanUp();
    this.calls.delete(call.id);
    Atomics.store(this.cells, INFLIGHT, this.calls.size);
    const id = JSON.stringify(call.id);
    let frame = `{"jsonrpc":"2.0","id":${id},${body}}\n`;
    if (frame.length * 3 > this.maxFrameBytes && Buffer.byteLength(frame) - 1 > this.maxFrameBytes) {
      const what = `the answer is a frame over the cap of ${this.maxFrameBytes} bytes`;
      frame = `{"jsonrpc":"2.0","id":${id},"error":${encode(errorBody(4005, what, { retryable: false }))}}\n`;
    }
    this.say(frame);
  }

  // Running calls.

  /** Call the node. What it gives is the output, a promise of it, or a generator. */
  start(call) {
    const inputs = call.begin();
    if (this.loadError !== null) throw new NotLoaded("", { cause: this.loadError });
    return this.handler(call.context, inputs);
  }

  leaveIfDrained() {
    if (this.shutdown === null || this.calls.size) return;
    this.say(`{"jsonrpc":"2.0","id":${JSON.stringify(this.shutdown)},"result":{}}\n`);
    process.exit(0);
  }
}

/** What a generator may yield next, sent or kept; the credit for a chunk is there. */
function takeChunk(call, kept, value) {
  const text = call.checked(value);
  if (call.streams) call.sendChunk(text);
  else kept.push(value);
}

/** The output of a generator that has ended: what it returned, else the chunks that were not sent. */
function outputOf(call, kept, returned) {
  return returned !== undefined && returned !== null ? returned : call.chunks ? null : kept;
}

// --- Serving plain functions: this thread reads, and another looks for the host while it is busy --------

async function serveSerially(worker) {
  const buffer = Buffer.allocUnsafe(65536);
  const read = () => readSerially(worker, buffer);
  while (read()) {
    while (worker.queue.length) {
      const call = worker.queue.shift();
      watchHost(worker);
      try {
        let output = worker.start(call);
        if (worker.isGenerator) output = drive(call, output, read);
        else if (output !== null && typeof output === "object" && typeof output.then === "function") output = await output;
        call.result(output);
      } catch (error) {
        call.failure(error);
      }
    }
    worker.leaveIfDrained();
  }
  process.exit(worker.lines.isLost ? 1 : 0);
}

/** Take in what the host sent next; false when it is gone. */
function readSerially(worker, buffer) {
  const { cells, lines } = worker;
  while (Atomics.compareExchange(cells, LINE, BUSY, READING) === WATCHING) Atomics.wait(cells, LINE, WATCHING, LOOK_MS);
  let size = cells[SIZE];
  let data;
  if (size) {
    data = Buffer.from(worker.shared, 32, size);
    cells[SIZE] = 0;
  } else {
    size = readSome(worker.reader, buffer);
    data = buffer.subarray(0, size);
  }
  lines.feed(data, (...line) => worker.line(...line));
  Atomics.store(cells, LINE, BUSY);
  Atomics.notify(cells, LINE);
  return size > 0 && !lines.isLost;
}

function readSome(descriptor, buffer) {
  for (;;) {
    try {
      return fs.readSync(descriptor, buffer, 0, buffer.length, null);
    } catch (error) {
      if (error.code === "EOF") return 0;
      if (error.code !== "EAGAIN" && error.code !== "EINTR") return 0;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function drive(call, generator, read) {
  const kept = [];
  try {
    for (;;) {
      const { done, value } = generator.next();
      if (done) return outputOf(call, kept, value);
      while (call.streams && call.mustWait) if (!read()) process.exit(0);
      takeChunk(call, kept, value);
    }
  } finally {
    generator.return();
  }
}

function watchHost(worker) {
  if (worker.thread !== null) return;
  worker.thread = startThread(worker, "watch");
}

function startThread(worker, role) {
  return new Worker(fileURLToPath(import.meta.url), {
    workerData: { nodeling: role, shared: worker.shared, reader: worker.reader, writer: worker.writer },
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
  });
}

/** The watcher: while a function is busy it reads in its place, which is how it sees that the host is gone. */
function watch({ shared, reader }) {
  const cells = new Int32Array(shared, 0, 8);
  const descriptor = fs.openSync(`/proc/self/fd/${reader}`, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  for (;;) {
    Atomics.wait(cells, LINE, READING);
    Atomics.wait(cells, NEVER, 0, LOOK_MS);
    if (Atomics.compareExchange(cells, LINE, BUSY, WATCHING) !== BUSY) continue;
    const room = SHARED_BYTES - cells[SIZE];
    let size = -1;
    try {
      if (room) size = fs.readSync(descriptor, new Uint8Array(shared, 32 + cells[SIZE], room), 0, room, null);
    } catch (error) {
      if (error.code !== "EAGAIN") size = 0;
    }
    if (size > 0) cells[SIZE] += size;
    Atomics.store(cells, LINE, BUSY);
    Atomics.notify(cells, LINE);
    if (size === 0) endSoon(cells);
  }
}

/** The host is gone: let what runs see it, and end this process whatever happens. */
function endSoon(cells) {
  Atomics.store(cells, HUNG, 1);
  Atomics.wait(cells, NEVER, 0, EXIT_GRACE_MS);
  process.kill(process.pid, "SIGKILL");
}

// --- Serving from the event loop: another thread reads, answers pings and sees that the host is gone -----

function serveFromLoop(worker) {
  worker.thread = startThread(worker, "read");
  worker.thread.on("message", ({ lines, calls }) => {
    if (lines === null) return hungUp(worker);
    const bytes = (array) => array && Buffer.from(array.buffer);
    for (const [line, head, size] of lines) worker.line(bytes(line), bytes(head), size);
    Atomics.sub(worker.cells, POSTED, calls);
    return pump(worker);
  });
}

function pump(worker) {
  while (worker.queue.length && worker.running < worker.concurrency) {
    const call = worker.queue.shift();
    worker.running += 1;
    run(worker, call).finally(() => {
      worker.running -= 1;
      pump(worker);
    });
  }
  worker.leaveIfDrained();
}

async function run(worker, call) {
  try {
    let output = worker.start(call);
    if (worker.isGenerator) output = await driveAsync(call, output);
    else if (output !== null && typeof output === "object" && typeof output.then === "function") output = await output;
    call.result(output);
  } catch (error) {
    call.failure(error);
  }
}

async function driveAsync(call, generator) {
  const kept = [];
  try {
    for (;;) {
      const { done, value } = await generator.next();
      if (done) return outputOf(call, kept, value);
      while (call.streams && call.mustWait) await new Promise((resolve) => (call.waiting = resolve));
      if (call.isCancelled) throw new CallCancelled();
      takeChunk(call, kept, value);
    }
  } finally {
    await generator.return();
  }
}

function hungUp(worker) {
  for (const call of worker.calls.values()) call.cancel();
  const end = Date.now() + EXIT_GRACE_MS;
  const look = () => (worker.calls.size && Date.now() < end ? setTimeout(look, 10) : process.exit(0));
  look();
}

/** The reader: whole lines to the main thread, pings answered here, and the hard end when the host is gone. */
async function readLines({ shared, reader, writer }) {
  const { Socket } = await import("node:net");
  const cells = new Int32Array(shared, 0, 8);
  const lines = new LineReader();
  const end = () => {
    parentPort.postMessage({ lines: null });
    setTimeout(() => process.kill(process.pid, "SIGKILL"), EXIT_GRACE_MS);
  };
  const socket = new Socket({ fd: reader, readable: true, writable: false });
  socket.on("data", (data) => {
    const found = [];
    let calls = 0;
    lines.maxBytes = Atomics.load(cells, CAP);
    lines.feed(data, (line, head, size) => {
      if (line !== null && line.length < 512 && answerPing(line, cells, writer)) return;
      if (line !== null && line.includes('"node/invoke"')) {
        calls += 1;
        Atomics.add(cells, POSTED, 1);
      }
      found.push([line && new Uint8Array(line), head && new Uint8Array(head), size]);
    });
    if (found.length) parentPort.postMessage({ lines: found, calls }, found.map(([line, head]) => (line ?? head).buffer));
    if (lines.isLost) process.kill(process.pid, "SIGKILL");
  });
  socket.on("error", () => {}); // the close that follows says all there is to say
  socket.on("close", end);
}

function answerPing(line, cells, writer) {
  if (!line.includes('"node/ping"')) return false;
  let message;
  try {
    message = JSON.parse(line.toString("utf8"));
  } catch {
    return false; // the main thread answers what does not parse
  }
  const { jsonrpc, id, method } = message;
  if (jsonrpc !== "2.0" || method !== "node/ping" || !isId(id)) return false;
  while (Atomics.compareExchange(cells, LOCK, 0, 1) !== 0) Atomics.wait(cells, LOCK, 1);
  const about = { inflight: Atomics.load(cells, INFLIGHT) + Atomics.load(cells, POSTED), rss_bytes: process.memoryUsage.rss() };
  writeAll(writer, Buffer.from(`${JSON.stringify({ jsonrpc, id, result: about })}\n`));
  Atomics.store(cells, LOCK, 0);
  Atomics.notify(cells, LOCK);
  return true;
}

// --- The command --------------------------------------------------------------------------------------

export function parseOptions(words) {
  const given = { folder: ".", entry: "node.mjs", name: "", version: "0.0.0", concurrency: "1", reads: "", env: "" };
  for (let index = 0; index < words.length; index += 1) {
    const [, name, value] = /^--([a-z]+)(?:=(.*))?$/s.exec(words[index]) ?? [];
    if (name === undefined || !Object.hasOwn(given, name)) {
      throw new Error(`'${words[index]}' is no option; there are --${Object.keys(given).join(", --")}`);
    }
    if (value === undefined && index + 1 === words.length) throw new Error(`--${name} needs a value`);
    given[name] = value ?? words[(index += 1)];
  }
  if (!/^[1-9]\d*$/.test(given.concurrency)) {
    throw new Error(`--concurrency is a number from 1 on, not '${given.concurrency}'`);
  }
  const list = (text) => text.split(",").filter(Boolean);
  return { ...given, concurrency: Number(given.concurrency), reads: list(given.reads), env: list(given.env) };
}

async function load(options) {
  const file = path.resolve(options.folder, options.entry);
  if (!fs.existsSync(file)) throw new Error(`${file} does not exist; \`runtime.entry\` names the file that holds the node`);
  const handler = (await import(pathToFileURL(file).href)).default;
  if (typeof handler !== "function") {
    throw new Error(`${options.entry} exports no node; write \`export default function (ctx, inputs) { … }\``);
  }
  return handler;
}

async function main(words) {
  let options, channel;
  try {
    options = parseOptions(words);
    if (process.env.NODELING !== "1") {
      throw new Error("this is the side of a node that a host talks to, and there is no host here");
    }
    channel = openChannel();
  } catch (error) {
    process.stderr.write(`nodeling: ${error.message}\nTo run a node by hand: nodectl test DIR, or nodectl run FILE\n`);
    process.exit(64);
  }
  let handler = null;
  let loadError = null;
  try {
    handler = await load(options);
  } catch (error) {
    loadError = error; // whatever the node's module does is the node's failure
  }
  const worker = new NodeWorker(channel, options, handler, loadError);
  if (worker.isSerial) await serveSerially(worker);
  else serveFromLoop(worker);
}

if (!isMainThread && workerData?.nodeling === "watch") watch(workerData);
else if (!isMainThread && workerData?.nodeling === "read") readLines(workerData);
else if (isMainThread && process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)); // not awaited: the node may import this module, which has to be ready by then
}
