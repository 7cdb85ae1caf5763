"""A line per event on stderr, for logs and pipes: what happened, where, and how long after the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nodeling.fault import one_line as visible
from nodeling_runtime.cli.output import talk
from nodeling_runtime.cli.text import COLOURS, error_line, hint_of, one_line, progress_line
from nodeling_runtime.workflow.duration import spoken

Event = Mapping[str, Any]


class Lines:
    """Turns events into lines."""

    def __init__(self, *, verbose: bool = False, write: Callable[..., None] = talk) -> None:
        self._verbose = verbose
        self._write = write
        self._began: float | None = None

    def begin(self, moment: float) -> None:
        """Count the time from here on; otherwise it counts from the first event."""
        self._began = moment

    def hear(self, event: Event) -> None:
        """Print an event."""
        if self._began is None:
            self.begin(event["ts"])
        word = self.words(event)
        if word is not None:
            text, style = word
            self._write(visible(f"{event['ts'] - self._began:9.3f}s  {text}"), **style)

    def words(self, event: Event) -> tuple[str, dict[str, Any]] | None:
        """The event in words, and how they look."""
        kind = str(event["event"])
        say = getattr(self, "_" + kind.replace(".", "_"), None)
        if say is None:
            return f"{event.get('step', '')} {kind}".strip(), {}
        found: tuple[str, dict[str, Any]] | None = say(event)
        return found

    def _run_queued(self, event: Event) -> tuple[str, dict[str, Any]]:
        return f"run {event['run_id']} of {event['workflow']!r} waits for its turn", {}

    def _run_started(self, event: Event) -> tuple[str, dict[str, Any]]:
        return f"run {event['run_id']} of {event['workflow']!r} started", {"bold": True}

    def _run_finished(self, event: Event) -> tuple[str, dict[str, Any]]:
        return f"run {event['status']} after {spoken(event['duration_ms'])}", {"bold": True}

    def _step_started(self, event: Event) -> tuple[str, dict[str, Any]]:
        text = f"{event['step']} started ({event['node']})"
        if self._verbose and event.get("waited_for"):
            text += f", after {', '.join(event['waited_for'])}"
        return text, {}

    def _step_finished(self, event: Event) -> tuple[str, dict[str, Any]]:
        status = event["status"]
        text = f"{event['step']} {status}"
        if event.get("reason"):
            text += f" ({event['reason']})"
        if event["attempts"]:
            text += f" in {spoken(event['duration_ms'])}"
        if event["attempts"] > 1:
            text += f", {event['attempts']} attempts"
        if self._verbose and event.get("worker"):
            text += f", on {event['worker']}"
        if event.get("error"):
            text += f": {error_line(event['error'])}"
            hint = hint_of(event["error"])
            text += f"; {hint}" if hint else ""
        return text, {"fg": COLOURS.get(status)}

    def _step_cached(self, event: Event) -> tuple[str, dict[str, Any]] | None:
        text = f"{event['step']} takes over the output of {event['by']} in run {event['run']}"
        return (text, {}) if self._verbose else None

    def _step_retry(self, event: Event) -> tuple[str, dict[str, Any]]:
        again = f"again in {spoken(event['delay_ms'])}"
        text = f"{event['step']} attempt {event['attempt']} failed: {error_line(event['error'])}; {again}"
        return text, {"fg": "yellow"}

    def _step_progress(self, event: Event) -> tuple[str, dict[str, Any]]:
        return f"{event['step']} {progress_line(event)}", {}

    def _step_log(self, event: Event) -> tuple[str, dict[str, Any]] | None:
        level = str(event.get("level", "info"))
        if level == "debug" and not self._verbose:
            return None
        data = f" {one_line(str(event['data']))}" if event.get("data") else ""
        style = {"warning": {"fg": "yellow"}, "error": {"fg": "red"}}.get(level, {})
        return f"{event['step']} {level}: {one_line(event.get('message', ''))}{data}", style

    def _step_metric(self, event: Event) -> tuple[str, dict[str, Any]]:
        return f"{event['step']} {event['name']} = {event['value']}", {}

    def _step_chunk(self, event: Event) -> tuple[str, dict[str, Any]] | None:
        return (f"{event['step']} chunk {event['number']}", {}) if self._verbose else None
