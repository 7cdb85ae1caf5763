"""What a build depends on, as one hash: the language, the machine, and the files with their names.

Invariant: equal hashes mean that building again would make the same thing, so whoever has it need not.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from nodeling.toolchain import SourceNode, Toolchain

LENGTH = 32  # hexadecimal digits of a folder's name


def content_hash(toolchain: Toolchain, node: SourceNode, files: Sequence[Path]) -> str:
    """The name under which a build is kept."""
    state = hashlib.sha256()

    def add(*parts: object) -> None:
        for part in parts:
            data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
            state.update(len(data).to_bytes(8, "big") + data)

    add(toolchain.type, toolchain.revision, toolchain.stamp(node), platform.system(), platform.machine())
    add(node.entry)
    for file in sorted(files):
        add(os.path.relpath(file, node.folder), os.access(file, os.X_OK), file.read_bytes())
    return state.hexdigest()[:LENGTH]
