"""Running the examples of a manifest: what they show is what `nodectl test` holds the node to.

A node runs as it runs in a workflow, in process or as a program, with its schemas on guard. An example
says what must come out: an exact output, a schema of it, or the code of an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any

from nodeling._dataclass import dataclass
from nodeling.errors import Fault, NodelingError
from nodeling.manifest import Schema
from nodeling.testing.fake import Fake
from nodeling.testing.nodes import NodeOutcome, run_node
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.schemas import Validator, compile_schema, second_opinion
from nodeling_runtime.values import json_equal

TIMEOUT_SECONDS = 60.0  # an example that runs longer shows nothing that anybody waits for


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """How one example went."""

    name: str
    passed: bool
    duration_ms: float
    problem: str | None = None
    diff: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return {
            "name": self.name,
            "passed": self.passed,
            "duration_ms": round(self.duration_ms, 3),
            "problem": self.problem,
            "diff": list(self.diff),
        }


def run_examples(spec: NodeSpec, folders: Sequence[Path] = ()) -> Iterator[ExampleResult]:
    """Run every example of a node, in the order of its manifest."""
    for number, example in enumerate(spec.manifest.examples, start=1):
        yield run_example(spec, example, str(example.get("name", f"example {number}")), folders)


def run_example(
    spec: NodeSpec, example: Mapping[str, Any], name: str, folders: Sequence[Path]
) -> ExampleResult:
    """Run one example and judge what came of it."""
    target = spec.definition if spec.definition is not None else spec.folder
    try:
        outcome = run_node(
            target,
            example.get("inputs"),
            example.get("config"),
            example.get("vars"),
            step=_step(spec, example),
            nodes=_stand_ins(example),
            folders=list(folders),
            timeout=TIMEOUT_SECONDS,
        )
    except NodelingError as error:
        return ExampleResult(name, False, 0.0, _refusal(error))
    problem, diff = judge(example, outcome, f"{spec.file}#{name}")
    problem = problem or disagreement(spec, example, outcome)
    return ExampleResult(name, problem is None, outcome.duration_ms, problem, tuple(diff))


def _step(spec: NodeSpec, example: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "step" in example:
        found: Mapping[str, Any] = example["step"]
        return found
    return {} if spec.manifest.flow else None


def _stand_ins(example: Mapping[str, Any]) -> dict[str, Fake]:
    """The nodes that a container's example only pretends to have."""
    return {
        name: Fake(error=(said["error"], "the example says so")) if "error" in said else Fake(said["output"])
        for name, said in example.get("nodes", {}).items()
    }


def _refusal(error: NodelingError) -> str:
    if not error.faults:
        return f"it could not be run: {error}"
    return f"it could not be run: {'; '.join(_fault(fault) for fault in error.faults)}"


def _fault(fault: Fault) -> str:
    where = f" (at {fault.pointer})" if fault.pointer else ""
    return f"{fault.message}{where}" + (f"; {fault.hint}" if fault.hint else "")


def judge(example: Mapping[str, Any], outcome: NodeOutcome, where: str) -> tuple[str | None, list[str]]:
    """What is wrong with an outcome, with the difference where there is one; None when nothing is."""
    wanted = "failed" if "error" in example else example.get("status", "succeeded")
    if outcome.status != wanted:
        error = outcome.error or {}
        said = f": [{error.get('code')}] {error.get('message')}" if error else ""
        return f"it {outcome.status}, and should have {wanted}{said}", _traceback(error)
    if "error" in example and outcome.code != example["error"]:
        message = (outcome.error or {}).get("message", "")
        return f"it failed with {outcome.code!r} ({message}), not {example['error']!r}", []
    if "output" in example and not json_equal(example["output"], outcome.output):
        return "the output is another", difference(example["output"], outcome.output)
    if "output_schema" in example:
        faults = compile_schema(example["output_schema"], where=where).check(outcome.output)
        if faults:
            listed = [f"{fault.pointer or '(all)'}: {fault.message}" for fault in faults]
            return "the output does not fit `output_schema`", listed
    return None, []


def disagreement(spec: NodeSpec, example: Mapping[str, Any], outcome: NodeOutcome) -> str | None:
    """Where two implementations of JSON Schema read the node's schemas differently; None where they agree.

    A schema like that means something else in an editor than it does in a run.
    """
    manifest = spec.manifest
    asked: list[tuple[str, Schema, Validator, Any]] = []
    if not manifest.flow:
        asked.append(("inputs", manifest.inputs, spec.inputs, example.get("inputs", {})))
    if outcome.succeeded:
        asked.append(("output", manifest.output, spec.output, outcome.output))
    for what, schema, validator, value in asked:
        fits = validator.is_valid(value)
        if _opinion(schema, value) not in (None, fits):
            here, there = ("fits", "does not fit") if fits else ("does not fit", "fits")
            return (
                f"its `{what}` schema is read in two ways: the example {here} here, and {there} by jsonschema"
            )
    return None


def _opinion(schema: Schema, value: Any) -> bool | None:
    try:
        return second_opinion(schema, value)
    except Exception:  # a pattern or a reference that the other one cannot follow: it has no opinion
        return None


def difference(wanted: Any, found: Any) -> list[str]:
    """Two values as lines, each marked by whose it is."""
    before, after = (
        json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()
        for value in (wanted, found)
    )
    return list(unified_diff(before, after, "expected", "found", lineterm="", n=2))


def _traceback(error: Mapping[str, Any]) -> list[str]:
    details = error.get("details") or {}
    return str(details.get("traceback", "")).splitlines()
