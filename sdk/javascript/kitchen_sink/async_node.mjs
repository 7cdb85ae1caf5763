// The kitchen sink on the event loop: what differs when a node's function is async.

import { setTimeout as sleep } from "node:timers/promises";
import { actions } from "./node.mjs";

const waiting = {
  ignore_cancel: async (ctx, { ms }) => {
    ctx.log("started");
    await sleep(ms);
    return "ignored";
  },
  sleep: async (ctx, { ms, value = null }) => {
    ctx.log("started");
    await sleep(ms, undefined, { signal: ctx.signal });
    return value;
  },
};

/** Do what `inputs.do` says; wait as promises do. */
export default async function run(ctx, inputs) {
  return (waiting[inputs.do] ?? actions[inputs.do])(ctx, inputs);
}
