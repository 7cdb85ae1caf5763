"""The languages of `sdk/languages.json`, their kitchen sinks built once and ready to be judged."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from programs import need

SDK = Path(__file__).parents[1] / "sdk"
TABLE = SDK / "languages.json"
# Each checkout has its own, or the tests of one would remove what those of another are about to start.
_CHECKOUT = hashlib.sha256(os.fsencode(SDK)).hexdigest()[:8]
BUILDS = Path(tempfile.gettempdir()) / f"nodeling-kitchen-sinks-{os.getuid()}-{_CHECKOUT}"
BUILD_SECONDS = 600


@dataclass(frozen=True)
class Language:
    """One row."""

    language: str
    title: str
    folder: str
    start: Sequence[str]
    echo: str
    needs: Sequence[str] = ()
    build: Sequence[Sequence[str]] = ()
    env: dict[str, str] = field(default_factory=dict)
    builds: Path = BUILDS

    @property
    def path(self) -> Path:
        return SDK / self.folder

    @functools.cached_property
    def capabilities(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "capabilities.json").read_text(encoding="utf-8"))
        return found

    def filled(self, text: str) -> str:
        known = {"folder": self.path, "sdk": SDK, "python": sys.executable, "out": self.out}
        for name, value in known.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    @functools.cached_property
    def out(self) -> Path:
        """Where its build is: a folder named by the content of its sources."""
        state = hashlib.sha256(json.dumps([self.build, self.language]).encode())
        if self.build:
            for path in sorted((SDK / self.language).rglob("*")):
                if path.is_file() and not {"target", "build", "node_modules"} & set(path.parts):
                    state.update(str(path).encode() + b"\0" + path.read_bytes())
        return self.builds / f"{self.language}-{state.hexdigest()[:16]}"

    def environment(self) -> dict[str, str]:
        return {name: self.filled(value) for name, value in self.env.items()}

    def command(self, variant: str) -> list[str]:
        """The command of a variant, built if need be; skips the test where a program is missing."""
        for program in self.needs:
            need(program)
        self._build()
        start = [*self.start, *self.capabilities["variants"][variant].get("start", [])]
        return [self.filled(item) for item in start]

    def _build(self) -> None:
        if not self.build or self.out.is_dir():
            return
        self.builds.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in self.builds.glob(f"{self.language}-*"):
            shutil.rmtree(old, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self.builds))
        for command in self.build:
            argv = [self.filled(item).replace(str(self.out), str(fresh)) for item in command]
            done = subprocess.run(
                argv,
                cwd=self.path,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=BUILD_SECONDS,
                check=False,
            )
            assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout.decode()}"
        fresh.rename(self.out)


@functools.cache
def languages() -> tuple[Language, ...]:
    """Every row of the table."""
    return tuple(Language(**row) for row in json.loads(TABLE.read_text(encoding="utf-8")))
