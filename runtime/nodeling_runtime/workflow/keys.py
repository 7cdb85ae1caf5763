"""Every key a workflow document may hold: the loader, the editor schema and the docs read them here."""

from __future__ import annotations

TOP: dict[str, str] = {
    "$schema": "Where an editor finds this format's schema.",
    "name": "What the workflow is called.",
    "version": "The workflow's own version.",
    "description": "What it is for.",
    "author": "Who wrote it; kept with the run.",
    "tags": "Words to find its runs by.",
    "metadata": "Anything else to be kept with the run.",
    "estimated_duration": "Shown beside the measured one.",
    "settings": "What holds for the whole run.",
    "inputs": "The JSON Schema of the run's input, `ctx.request.body`.",
    "output": "An expression, or a value holding expressions, that gives the run's output.",
    "steps": "The steps.",
    "nodes": "Inputs and keys of steps, by step name.",
}

SETTINGS: dict[str, str] = {
    "max_concurrent": "At most so many node calls at once, in the whole run.",
    "timeout": "The run ends after so long.",
    "on_failure": "`continue`: independent branches finish. `stop`: an unhandled failure ends them. "
    "`suspend`: they finish, and the run waits to be resumed.",
    "cleanup_timeout": "How long `always` steps may take after a cancel or a run timeout (30s).",
    "max_runs": "At most so many runs of this workflow at once, over all processes that share a store.",
    "when_full": "`queue`: one more waits. `refuse`: it is an error. `cancel_oldest`: the oldest is ended.",
    "env": "Environment variables that expressions may read as `ctx.env.NAME`.",
}

STEP: dict[str, str] = {
    "name": "Unique in the document.",
    "node": "The node: `name`, `name@1.2.0` or `name@^1`.",
    "type": "`module`, `local` or `runtime.<language>`.",
    "description": "What the step is for.",
    "inputs": "What the node is given; strings may hold `${…}`.",
    "config": "What the node's `config` schema asks for.",
    "parameters": "Inputs with plain values that `-p step.key=value` may change.",
    "needs": "The steps this one waits for.",
    "join": "`all`, `any` or `{at_least: k}` of them.",
    "if": "The step runs only when this is true.",
    "trigger": "`on_error`: runs when the scope's body failed. `always`: runs last.",
    "on_error": "`continue`: a failure of this step is handled.",
    "on_lost": "When its process died during the call: `again`, also with unsafe effects, or `fail`. "
    "Without it the effects decide.",
    "on_failure": "For a step that holds steps: `continue` or `stop`, for its own scope.",
    "recover": "For `on_error` steps: their success makes the scope succeed.",
    "retry": "`{attempts, delay, max_delay, backoff, factor, jitter, on, unless}`.",
    "circuit": "`{failures, window, cooldown}`: a node that failed so often is not called for a while.",
    "cache": "`{key, ttl, any_inputs}`, or true: an earlier call's output with the same inputs is taken.",
    "timeout": "One attempt is killed after so long.",
    "deadline": "All attempts together, waits included, end after so long.",
    "limits": "`{memory_mb, processes, disk_mb}` of the node's process, never above the node's own.",
    "merge": "`last` or `deep`: what to do when branches wrote one key differently.",
    "set_var": "Another name for the output in `ctx.vars`; false keeps it out.",
    "active": "false: the step is skipped.",
    "stop": "When the step succeeds its scope ends.",
}

RETRY = ("attempts", "delay", "max_delay", "backoff", "factor", "jitter", "on", "unless")
BACKOFFS = ("exponential", "linear", "fixed")
JITTERS = ("full", "none")
CIRCUIT = ("failures", "window", "cooldown")
CACHE = ("key", "ttl", "any_inputs")
WHEN_FULL = ("queue", "refuse", "cancel_oldest")
LIMITS = ("memory_mb", "processes", "disk_mb")
LINK = ("step", "on", "if")
TYPES = ("module", "local")
