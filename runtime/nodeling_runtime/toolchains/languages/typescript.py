"""`runtime.typescript`: checked and compiled to JavaScript once per content, then run like JavaScript.

The compiler is the one that the node or its project has installed (`node_modules/typescript`), else the
pinned one, which is fetched with npm on first use and kept beside the builds. A type error fails the
build, with the compiler's own words.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from nodeling.sdk_files import sdk_file
from nodeling.toolchain import Job, Program, SourceNode, Toolchain, files_below
from nodeling_runtime.toolchains.languages.nodejs import NODE, SDK, sdk_of, serving

NPM = Program("npm", "npm")
_LOCK = ("package.json", "package-lock.json")
_SETTINGS = "tsconfig.json"
_MODULES = "node_modules"
_ANYWAY = ("--noEmitOnError", "--declaration", "false", "--sourceMap", "false", "--allowJs", "false")
_FETCH = ("ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund")
_WITHOUT_SETTINGS = (
    *("--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"),
    *("--strict", "--skipLibCheck"),
)


class TypeScript(Toolchain):
    """TypeScript nodes in processes of their own."""

    type = "runtime.typescript"
    title = "TypeScript"
    entry = "node.ts"
    needs = (NODE,)
    build_needs = (NODE, NPM)
    channel = "fd"

    def sources(self, node: SourceNode) -> Sequence[Path]:
        """What the compiler reads."""
        return [path for path in files_below(node.folder) if path.suffix in (".ts", ".mts", ".mjs", ".json")]

    def stamp(self, node: SourceNode) -> str:
        """Which compiler is taken, and which SDK."""
        own = _installed(node.folder)
        compiler = (
            own / "typescript/package.json" if own else sdk_file("javascript", "typescript/package.json")
        )
        return "\0".join(path.read_text(encoding="utf-8") for path in (compiler, sdk_of(node.folder)))

    def build(self, job: Job) -> None:
        """Compile the entry and what it imports; put the SDK beside it."""
        folder = job.node.folder
        modules = _installed(folder) or _fetched(job)
        settings = folder / _SETTINGS
        if settings.is_file():
            what = ["--project", str(settings)]
        else:
            what = [*_WITHOUT_SETTINGS, str(folder / job.node.entry)]
        where = ["--outDir", str(job.out), "--rootDir", str(folder)]
        types = modules / "@types"
        if (types / "node").is_dir():
            where += ["--typeRoots", str(types), "--types", "node"]
        compiler = modules / "typescript" / "bin" / "tsc"
        job.run(job.node.program("node"), str(compiler), *what, *where, *_ANYWAY)
        shutil.copyfile(sdk_of(folder), job.out / SDK)
        (job.out / "package.json").write_text(json.dumps({"type": "module"}), encoding="utf-8")
        for modules in _modules_above(folder):
            (job.out / _MODULES).symlink_to(modules)
            break

    def command(self, node: SourceNode) -> Sequence[str]:
        """Node with the build's copy of the SDK."""
        entry = Path(node.entry).with_suffix(".mjs" if node.entry.endswith(".mts") else ".js")
        return serving(node, node.built_file(SDK), node.built_file(SDK).parent, str(entry))


def _modules_above(folder: Path) -> Iterator[Path]:
    """Every node_modules where Node would look for a package, nearest first."""
    return (found for parent in (folder, *folder.parents) if (found := parent / _MODULES).is_dir())


def _installed(folder: Path) -> Path | None:
    """The node_modules, of the node or above it, that hold a compiler."""
    for modules in _modules_above(folder):
        if (modules / "typescript" / "bin" / "tsc").is_file():
            return modules
    return None


def _fetched(job: Job) -> Path:
    """The pinned compiler, fetched now if nobody did before."""
    version = json.loads(sdk_file("javascript", "typescript/package.json").read_text(encoding="utf-8"))
    name = "-".join(f"{key.rpartition('/')[2]}-{value}" for key, value in version["dependencies"].items())
    target = job.cache / name
    if not target.is_dir():
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=job.cache))
        try:
            for file in _LOCK:
                shutil.copyfile(sdk_file("javascript", f"typescript/{file}"), fresh / file)
            job.run(job.node.program("npm"), *_FETCH, cwd=fresh)
            with contextlib.suppress(OSError):  # another build was faster
                fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return target / _MODULES
