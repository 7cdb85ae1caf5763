"""Reads a page of the documentation, runs its blocks in a folder of their own, and compares what they show.

A page is run from top to bottom, as its reader would:

- a block with a title (```yaml title="work.yaml") is written to that file;
- a ```python block is run; the ```text block behind it is what it prints;
- in a ```console block each line with `$ ` is run by bash, and the lines below it are what it prints;
- a ```mermaid block with `from="command"` is what that command prints;
- ```json and ```yaml blocks without a title are read as documents.

A line `…` stands for any lines. Times, ids and numbers of processes are compared by shape. A block that
cannot run says why in the comment above it: `<!-- not run: … -->`. With NODELING_UPDATE_DOCS=1 what the
blocks print is written into the page instead.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodeling_runtime.documents.reader import parse_document

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SECONDS = 60
ANY = "…"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)(?P<rest>[^\n`]*)$")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_REASON = re.compile(r"^<!-- not run: (.+) -->$")

_SHAPES: tuple[tuple[str, str], ...] = (
    (r"\b[0-9a-f]{32}\b", "<id>"),
    (r"\bpid \d+", "pid <n>"),
    (r"\bnodeling-\d+", "nodeling-<n>"),
    (r'"(\w*_ms|\w+_mb|ts|speedup|started|deadline)": ?(-?[\d.]+(e-?\d+)?|null)', r'"\1": <n>'),
    (r"\s*\b\d+(\.\d+)? ?(ms|s|min)\b", " <time>"),
    (r"\b0x[0-9a-f]+\b", "<address>"),
    (r"=+ (.*?) =+", r"= \1 ="),
)


@dataclass(slots=True)
class Block:
    """One fenced block, where it stands, and what the comment above it says."""

    language: str
    body: list[str]
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    reason: str | None = None


class PageError(AssertionError):
    """A block did not do what its page says."""


def pages() -> list[Path]:
    """The README and every page of the documentation."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *sorted(DOCS.rglob("llms.txt"))]


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        close = fence["indent"] + "```"
        end = next((n for n in range(at + 1, len(lines)) if lines[n].rstrip() == close), None)
        if end is None:
            raise PageError(f"line {at + 1}: this block is never closed")
        above = _REASON.match(lines[at - 1].strip()) if at else None
        cut = len(fence["indent"])
        yield Block(
            fence["language"],
            [line[cut:] for line in lines[at + 1 : end]],
            at + 1,
            dict(_ATTRIBUTE.findall(fence["rest"])),
            above[1] if above else None,
        )
        at = end + 1


def normal(text: str) -> list[str]:
    """What is left of a text when all that differs from run to run is replaced by its shape."""
    for pattern, shape in _SHAPES:
        text = re.sub(pattern, shape, text)
    return [re.sub(r" +", " ", line).rstrip() for line in text.rstrip("\n").splitlines()]


def agrees(shown: list[str], printed: list[str]) -> bool:
    """Whether a program printed what the page shows; `…` on a line of its own stands for any lines."""
    if not shown:
        return not printed
    if shown[0].strip() == ANY:
        return any(agrees(shown[1:], printed[skip:]) for skip in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and agrees(shown[1:], printed[1:])


def _elided(shown: list[str], printed: list[str]) -> list[str]:
    """What was printed, with the beginning left out where the page leaves it out."""
    if len(shown) < 2 or shown[0].strip() != ANY:
        return printed
    found = [n for n, line in enumerate(printed) if normal(line) == normal(shown[1])]
    return [ANY, *printed[found[0] :]] if found else printed


class Page:
    """One page, run in one folder."""

    def __init__(
        self, path: Path, folder: Path, *, seconds: float = SECONDS, more: Mapping[str, str] | None = None
    ) -> None:
        """A page.

        Args:
            path: The page.
            folder: Where it is run.
            seconds: How long one command may take.
            more: Variables that its commands see beside the usual ones.
        """
        self.path = path
        self.folder = folder
        self.seconds = seconds
        self.more = dict(more or {})
        self.text = path.read_text(encoding="utf-8")
        self._printed: str | None = None
        self._edits: list[tuple[int, int, list[str]]] = []

    def run(self) -> None:
        """Run every block in order.

        Raises:
            PageError: One of them is of no kind that runs, fails, or prints something else.
        """
        for block in blocks(self.text):
            if block.reason is None:
                self._run(block)
        if os.environ.get("NODELING_UPDATE_DOCS"):
            self._write()

    def _run(self, block: Block) -> None:
        if "title" in block.attributes:
            self._file(block)
            return
        kind = getattr(self, "_" + block.language, None)
        if kind is None:
            raise PageError(f"{self._at(block)}: nothing runs a block of {block.language or 'no language'}")
        kind(block)

    # -- kinds of blocks

    def _file(self, block: Block) -> None:
        target = self.folder / block.attributes["title"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(block.body) + "\n", encoding="utf-8")

    def _python(self, block: Block) -> None:
        script = self.folder / f"block_{block.line}.py"
        script.write_text("\n".join(block.body) + "\n", encoding="utf-8")
        self._printed = self._call([sys.executable, script.name], block)
        script.unlink()

    def _text(self, block: Block) -> None:
        if self._printed is None:
            raise PageError(f"{self._at(block)}: a text block shows what the python block above it prints")
        self._compare(block, 0, block.body, self._printed)
        self._printed = None

    def _console(self, block: Block) -> None:
        starts = [n for n, line in enumerate(block.body) if line.startswith("$ ")]
        if not starts or starts[0] != 0:
            raise PageError(f"{self._at(block)}: a console block begins with a `$ ` line")
        for start, end in zip(starts, [*starts[1:], len(block.body)], strict=True):
            command = block.body[start][2:]
            printed = self._call(["bash", "-c", command], block)
            self._compare(block, start + 1, block.body[start + 1 : end], printed)

    def _mermaid(self, block: Block) -> None:
        printed = self._call(["bash", "-c", block.attributes["from"]], block)
        self._compare(block, 0, block.body, printed)

    def _json(self, block: Block) -> None:
        parse_document("\n".join(block.body), name=self._at(block), format="json")

    def _yaml(self, block: Block) -> None:
        parse_document("\n".join(block.body), name=self._at(block), format="yaml")

    # -- how

    def _call(self, command: list[str], block: Block) -> str:
        venv = str(Path(sys.executable).parent)
        environment = {
            "PATH": os.pathsep.join([venv, os.environ["PATH"]]),
            "HOME": str(self.folder),
            "GOCACHE": os.environ.get("GOCACHE", os.path.expanduser("~/.cache/go-build")),
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.more,
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=self.seconds,
            check=False,
        )
        printed = done.stdout.decode("utf-8").replace(str(self.folder.resolve()) + "/", "")
        is_bug = "[internal]" in printed or "internal error" in printed
        if done.returncode or is_bug:
            raise PageError(f"{self._at(block)}: {command[-1]!r} exited with {done.returncode}:\n{printed}")
        return printed

    def _compare(self, block: Block, skip: int, shown: list[str], printed: str) -> None:
        while shown and not shown[-1].strip():
            shown = shown[:-1]
        if agrees(normal("\n".join(shown)), normal(printed)):
            return
        if os.environ.get("NODELING_UPDATE_DOCS"):
            self._edits.append(
                (block.line + skip, len(shown), _elided(shown, printed.rstrip("\n").splitlines()))
            )
            return
        raise PageError(
            f"{self._at(block)} shows\n" + "\n".join(shown) + "\nbut what is printed is\n" + printed
        )

    def _at(self, block: Block) -> str:
        return f"{self.path.relative_to(ROOT)}:{block.line}"

    def _write(self) -> None:
        lines = self.text.splitlines()
        for start, count, printed in sorted(self._edits, reverse=True):
            lines[start : start + count] = printed
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
