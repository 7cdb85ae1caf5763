"""One wheel and one clean environment for all tests of what is shipped: making them is what takes time."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"


@dataclass(frozen=True)
class CleanVenv:
    """An environment with nothing in it but what was installed from wheels."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def run(self, *command: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "NODELING", "PYTEST"))
        }
        done = subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=110,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def install(self, *wheels: Path, deps: bool = False) -> None:
        options = [] if deps else ["--no-deps"]
        pip_install(self.python, [*options, *map(str, wheels)])

    def site(self) -> Path:
        return next((self.folder / "lib").glob("python3*/site-packages"))


def pip_install(python: str, arguments: Sequence[str]) -> None:
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=110, check=False)
    if done.returncode == 0:
        return
    offline = "NewConnectionError" in done.stderr or "No matching distribution" in done.stderr
    if offline and not os.environ.get("CI"):
        pytest.skip("the registry cannot be reached")
    pytest.fail(done.stderr)


@pytest.fixture(scope="session")
def build_wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Builds the wheel of a source folder with the hatchling of this environment."""

    def build(source: Path) -> Path:
        out = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--wheel-dir", str(out), str(source)], check=True, timeout=110)
        return next(out.glob("*.whl"))

    return build


@pytest.fixture(scope="session")
def wheel(build_wheel: Callable[[Path], Path]) -> Path:
    """The wheel of nodeling."""
    return build_wheel(ROOT)


@pytest.fixture(scope="session")
def clean_venv(
    wheel: Path, build_wheel: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CleanVenv]:
    """A clean environment with nodeling and the third party's package, both from wheels."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=True)
    made = CleanVenv(folder)
    made.install(wheel, deps=True)
    made.install(build_wheel(FIXTURES / "acme_plugin"))
    yield made
