"""What is said of a run when it is over: every step, its children, its error, and what to try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import click

from nodeling._dataclass import dataclass
from nodeling.fault import one_line as visible
from nodeling.results import RunResult, StepResult
from nodeling_runtime.cli.output import talk
from nodeling_runtime.cli.text import (
    COLOURS,
    error_line,
    execution_info_of,
    fancy,
    hint_of,
    info_line,
    mark,
    one_line,
)
from nodeling_runtime.workflow.duration import spoken

MOST_CHILDREN = 12  # more of them are summed up, and only those that did not succeed are named
TOGETHER_SECONDS = 0.002  # steps that start within so long of each other started together


@dataclass(slots=True)
class Start:
    """When and why a step started, and who ran it."""

    path: str
    at: float
    waited_for: list[str]
    worker: str | None = None


@dataclass(slots=True)
class Timeline:
    """What the summary needs of the events of the steps at the top."""

    began: float = 0.0
    starts: dict[str, Start] = field(default_factory=dict)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Note an event; children are left to their container's own account."""
        kind, path = event["event"], event.get("step", "")
        if kind == "run.started":
            self.began = event["ts"]
        elif "/" in path:
            return
        elif kind == "step.started":
            self.starts[path] = Start(path, event["ts"] - self.began, list(event.get("waited_for") or ()))
        elif kind == "step.finished" and path in self.starts:
            self.starts[path].worker = event.get("worker")

    def together(self) -> list[list[str]]:
        """Groups of two and more steps that started at the same moment, none because of another."""
        groups: list[list[Start]] = []
        for start in sorted(self.starts.values(), key=lambda one: one.at):
            group = groups[-1] if groups else []
            caused = any(other.path in start.waited_for for other in group)
            if group and not caused and start.at - group[-1].at <= TOGETHER_SECONDS:
                group.append(start)
            else:
                groups.append([start])
        return [[start.path for start in group] for group in groups if len(group) > 1]


def print_summary(result: RunResult, timeline: Timeline, *, verbose: bool = False) -> None:
    """Print the tree of steps and how the run ended, on stderr."""
    for line in summary_lines(result, timeline, verbose=verbose):
        talk(line)


def summary_lines(result: RunResult, timeline: Timeline, *, verbose: bool = False) -> Iterator[str]:
    """The lines of the summary."""
    yield click.style(visible(result.workflow), bold=True)
    steps = list(result.steps.values())
    width = max((len(visible(step.name)) for step in steps), default=0)
    for place, step in enumerate(steps):
        last = place == len(steps) - 1
        branch, below = _branches(last)
        yield branch + _step_line(step, min(width, 40))
        for line in _below(step, timeline if verbose else None):
            yield below + line
    for group in timeline.together() if verbose else ():
        yield visible(f"started together: {', '.join(group)}")
    yield _ending(result)


def about_no_input(error: Mapping[str, Any] | None, schema: Any) -> Iterator[str]:
    """What to try when a run failed for want of an input that nobody gave it."""
    code = (error or {}).get("code")
    said = (error or {}).get("message", "")
    if code == "run.input" or (code == "expr.no_such_key" and said.startswith("null ")):
        keys = schema.get("properties") if isinstance(schema, Mapping) else None
        taken = f"; it takes {', '.join(keys)}" if isinstance(keys, Mapping) and keys else ""
        yield f"the run was given no input: -i KEY=VALUE, or --input with JSON or @FILE, gives it one{taken}"


def _branches(last: bool) -> tuple[str, str]:
    if fancy():
        return ("└─ ", "   ") if last else ("├─ ", "│  ")
    return "- ", "  "


def _step_line(step: StepResult, width: int) -> str:
    sign = click.style(mark(step.status), fg=COLOURS.get(step.status))
    said = [f"{sign} {visible(step.name):<{width}}"]
    if step.attempts:
        said.append(f"{spoken(step.duration_ms):>8}")
    if step.attempts > 1:
        said.append(f"{step.attempts} attempts")
    if step.reason is not None or step.status not in ("succeeded", "failed"):
        said.append(f"{step.status} ({step.reason})" if step.reason else step.status)
    return "  ".join(said)


def _below(step: StepResult, timeline: Timeline | None) -> Iterator[str]:
    """What stands under a step: its story, its error, its children."""
    start = timeline.starts.get(step.name) if timeline is not None else None
    if start is not None:
        yield "  " + _story(start)
    if step.error is not None:
        yield from _error_lines(step.error, verbose=timeline is not None)
    info = execution_info_of(step.output if _may_hold_info(step) else None, step.error)
    if info is not None:
        yield "  " + info_line(info)
        yield from _children(info, _errors_of(step))


def _story(start: Start) -> str:
    after = f"after {', '.join(start.waited_for)}" if start.waited_for else "waited for nothing"
    where = f"on {start.worker}, " if start.worker else ""
    return f"{where}{after}, started {spoken(start.at * 1_000)} into the run"


def _may_hold_info(step: StepResult) -> bool:
    # decoding a big output only to look for a key that is not there would be a waste
    held = step.held
    known = held if held is None or isinstance(held, bytes) else held.skeleton
    return known is not None and b'"execution_info"' in known


def _errors_of(step: StepResult) -> dict[int, Mapping[str, Any]]:
    """A container's errors by the place of their child."""
    held = step.output if _may_hold_info(step) else (step.error or {}).get("details")
    errors = held.get("errors") if isinstance(held, Mapping) else None
    if not isinstance(errors, list):
        return {}
    return {error["index"]: error for error in errors if isinstance(error, Mapping) and "index" in error}


def _error_lines(error: Mapping[str, Any], *, verbose: bool) -> Iterator[str]:
    yield "  " + click.style(error_line(error), fg="red")
    hint = hint_of(error)
    if hint:
        yield f"  try: {hint}"
    details = error.get("details")
    if not isinstance(details, Mapping):
        return
    for key, title in (("traceback", "the traceback"), ("stderr", "what it wrote on stderr")):
        text = details.get(key)
        if not isinstance(text, str) or len(text.splitlines()) < 2:
            continue  # a single line stands in the message already
        if verbose:
            yield from (f"    {_visible(line)}" for line in text.rstrip().splitlines())
        else:
            yield f"  --verbose shows {title}"


def _visible(line: str) -> str:
    """A line of a node's, without what would move a cursor."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in line)


def _children(info: Mapping[str, Any], errors: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each child; of a wide container only for those that did not succeed."""
    children = list(enumerate(info["children"]))
    names = Counter(child.get("name") for _, child in children)
    wide = len(children) > MOST_CHILDREN
    shown = [pair for pair in children if not wide or pair[1].get("status") != "succeeded"]
    for place, child in shown[:MOST_CHILDREN]:
        label = one_line(child.get("name", ""), 60)
        if names[child.get("name")] > 1:
            label += f" [{place}]"
        yield _child_line(child, label, errors.get(place))
    if len(shown) > MOST_CHILDREN:
        yield f"    and {len(shown) - MOST_CHILDREN} more that did not succeed"


def _child_line(child: Mapping[str, Any], label: str, error: Mapping[str, Any] | None) -> str:
    status = str(child.get("status"))
    text = f"    {click.style(mark(status), fg=COLOURS.get(status))} {label}"
    if child.get("attempts"):
        text += f"  {spoken(child.get('duration_ms') or 0)}"
    if error is not None:
        return f"{text}  {click.style(error_line(error), fg='red')}"
    return text if status == "succeeded" else f"{text}  {status}"


def _ending(result: RunResult) -> str:
    text = f"{result.status} in {spoken(result.duration_ms)}"
    if result.error is not None:
        step = result.error.get("step")
        text += f": {f'step {step!r}: ' if step else ''}{error_line(result.error)}"
        if not step:
            hint = hint_of(result.error)
            text += f"; {hint}" if hint else ""
    if result.leaked:
        calls = (
            "1 call never returned and was"
            if result.leaked == 1
            else f"{result.leaked} calls never returned and were"
        )
        text += f" ({calls} given up)"
    return click.style(text, fg=COLOURS.get(result.status), bold=True)
