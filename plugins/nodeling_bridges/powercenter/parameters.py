"""Parameter files: sections such as `[Global]` and `[folder.WF:name]`, and lines of NAME=VALUE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nodeling.errors import ConfigError, Fault

_SECTION = re.compile(r"\[(?P<name>[^\]]+)\]\s*")
_LINE = re.compile(r"(?P<name>\$\$?[\w.:]+|[\w.:]+)\s*=(?P<value>.*)")


@dataclass(slots=True)
class Parameters:
    """What parameter files say, section by section; a later file wins."""

    sections: dict[str, dict[str, str]] = field(default_factory=dict)

    def everywhere(self) -> dict[str, str]:
        """What holds for every workflow."""
        found: dict[str, str] = {}
        for name, values in self.sections.items():
            if name.lower() == "global" or name.lower().startswith("service:"):
                found.update(values)
        return found

    def of_workflow(self, workflow: str) -> dict[str, str]:
        """What holds in one workflow: for all of them, then its own section."""
        return {**self.everywhere(), **self._of(f"WF:{workflow}")}

    def of_worklet(self, workflow: str, worklet: str) -> dict[str, str]:
        """What its section says of a worklet."""
        return self._of(f"WF:{workflow}.WT:{worklet}")

    def of_session(self, workflow: str, session: str) -> dict[str, str]:
        """What its section says of a session."""
        return {**self._of(f"WF:{workflow}.ST:{session}"), **self._bare(session)}

    def _of(self, path: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, values in self.sections.items():
            if name.lower() == path.lower() or name.lower().endswith(f".{path.lower()}"):
                found.update(values)
        return found

    def _bare(self, session: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, values in self.sections.items():
            if "WF:" not in name.upper() and name.lower().split(".")[-1] == session.lower():
                found.update(values)
        return found


def read_parameters(files: Mapping[str, str]) -> Parameters:
    """Read parameter files, given by name and text.

    Raises:
        ConfigError: A line is neither a section, nor a pair, nor a comment; all of them are listed.
    """
    found, faults = Parameters(), []
    for file, text in files.items():
        section: dict[str, str] | None = None
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            if match := _SECTION.fullmatch(line):
                section = found.sections.setdefault(match["name"].strip(), {})
            elif (match := _LINE.fullmatch(line)) and section is not None:
                section[match["name"]] = _unquoted(match["value"].strip())
            else:
                what = "a pair outside any section" if match else "neither a section nor NAME=VALUE"
                faults.append(Fault("powercenter.parameter_file", f"this is {what}", file=file, line=number))
    if faults:
        raise ConfigError(str(faults[0]), code="powercenter.parameter_file", faults=faults)
    return found


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
