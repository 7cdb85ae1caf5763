// Types of nodeling.mjs. A node in TypeScript:
//
//     import { NodeError, type Context } from "./nodeling.mjs";
//
//     export default async function (ctx: Context, inputs: { text: string }): Promise<{ words: number }> { … }

import type { Buffer } from "node:buffer";
import type { Readable } from "node:stream";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type LogLevel = "debug" | "info" | "warning" | "error";

export interface Log {
  (message: string, data?: Record<string, unknown>, level?: LogLevel): void;
  debug(message: string, data?: Record<string, unknown>): void;
  info(message: string, data?: Record<string, unknown>): void;
  warning(message: string, data?: Record<string, unknown>): void;
  error(message: string, data?: Record<string, unknown>): void;
}

/** What started the run. Reading a part that the manifest's `reads` does not declare is an error. */
export interface Request {
  readonly body: any;
  readonly headers: Record<string, any> | null;
  readonly query: Record<string, any> | null;
  readonly params: Record<string, any> | null;
  readonly method: string | null;
  readonly path: string | null;
}

/** The bytes of a value that came by reference. */
export interface BlobFile {
  readonly size: number;
  readonly mediaType: string;
  bytes(): Buffer;
  text(): string;
  stream(): Readable;
}

/** One call's view of its run, and its way to write to it. */
export interface Context {
  readonly runId: string;
  readonly step: string;
  readonly attempt: number;
  /** The same over retries and recoveries of this step, and different for any other. */
  readonly idempotencyKey: string;
  readonly config: Record<string, any>;
  readonly secrets: Record<string, string>;
  readonly env: Record<string, string>;
  readonly log: Log;
  readonly vars: Record<string, any>;
  readonly request: Request;
  readonly response: any;
  readonly error: any;
  /** Whether this call should end soon; long synchronous work looks here now and then. */
  readonly cancelled: boolean;
  /** Aborted when the call shall end: for `fetch`, timers, streams. */
  readonly signal: AbortSignal;
  /** When this call ends at the latest, in milliseconds since the epoch. */
  readonly deadline: number | null;
  /** A private folder for this call, made on first use and removed when the call ends. */
  readonly workDir: string;
  get<T = any>(key: string, fallback?: T): T;
  set(key: string, value: unknown): void;
  delete(key: string): void;
  progress(done: number, total?: number, message?: string): void;
  metric(name: string, value: number): void;
  /** Milliseconds left until the deadline; null when there is none. */
  remaining(): number | null;
  openBlob(reference: unknown): BlobFile;
  /** Put bytes beside the frames; return what comes back as (a part of) the output. */
  writeBlob(bytes: Uint8Array, mediaType?: string): BlobRef;
}

/** A node: its output, a promise of it, or a generator whose yields are chunks. */
export type Node<Inputs = any, Output = unknown> = (
  ctx: Context,
  inputs: Inputs,
) => Output | Promise<Output> | Generator<unknown, Output> | AsyncGenerator<unknown, Output>;

export interface NodeErrorOptions {
  /** An integer, or a dotted word of your own; 4000 without one. */
  code?: number | string;
  retryable?: boolean;
  retryAfterMs?: number;
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** What a node throws to say which error it is; any other exception is a 4000 with its type and stack. */
export class NodeError extends Error {
  constructor(message: string, options?: NodeErrorOptions);
  readonly code: number | string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly details?: Record<string, unknown>;
}

/** A value is outside the profile; `pointer` says where. */
export class InvalidValue extends Error {
  readonly pointer: string;
}

export class BlobRef {
  readonly $blob: { path: string; size: number; media_type: string; encoding: "raw" | "json" };
}

export const SDK_VERSION: string;
export const PROTOCOL_VERSION: number;
export function encode(value: unknown): string;
export function decode(text: string): any;
