"""What a workflow's tasks need beside the workflow: bindings, parameter files, bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class ConfigManager:
    """Settings by name.

    `bindings` says which node stands for a session or its mapping: a node's name, or a function that gets
    the context, whose `ctx.config` holds the session's attributes. `parameter_files` are paths, `nodes` more
    folders of nodes, `max_concurrent` a bound for all tasks of a workflow.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, **more: Any) -> None:
        self._settings: dict[str, Any] = {**(settings or {}), **more}

    def get(self, name: str, default: Any = None) -> Any:
        """A setting."""
        return self._settings.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Change a setting, for what runs from now on."""
        self._settings[name] = value

    def bind(self, session: str, target: str | Callable[..., Any]) -> None:
        """Say what does the work of a session, or of every session of a mapping."""
        self._settings["bindings"] = {**self.bindings, session: target}

    @property
    def bindings(self) -> dict[str, Any]:
        """What stands for each session."""
        return dict(self._settings.get("bindings") or {})

    @property
    def parameter_files(self) -> dict[str, str]:
        """The texts of the parameter files."""
        paths = self._settings.get("parameter_files") or ()
        return {str(path): Path(path).read_text(encoding="utf-8") for path in paths}
