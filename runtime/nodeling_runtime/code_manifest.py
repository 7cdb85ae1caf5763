"""Prints what the code in a node folder declares; run as a process, because it imports that code.

    python -m nodeling_runtime.code_manifest FOLDER

The last line of stdout is one JSON object: `document` (the manifest of the folder's `@node` function)
and `explicit` (which of its keys the code says itself), both empty when there is no such function; or
`error`. What the code prints while it is imported stands before that line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ALWAYS = ("inputs", "output", "name")  # these follow from the function itself


def describe(folder: Path) -> dict[str, Any]:
    """What the folder's code declares."""
    from nodeling.manifest import RuntimeSpec
    from nodeling.node import NodeDefinition
    from nodeling_runtime.codefirst import document_of
    from nodeling_runtime.dispatch.loading import node_in
    from nodeling_runtime.node_files import MANIFEST
    from nodeling_runtime.registry import PROJECT, read_node

    written = (folder / MANIFEST).is_file()  # a folder may still be without one
    entry = read_node(folder, PROJECT).manifest.runtime.entry if written else RuntimeSpec().entry
    found = node_in(folder, entry) if entry.endswith(".py") else None
    if not isinstance(found, NodeDefinition):
        return {"document": {}, "explicit": []}
    options = found.options
    explicit = [*ALWAYS, *(key for key in options if key != "blocking")]
    if options.get("blocking") is False:
        explicit.append("runtime")
    return {"document": document_of(found), "explicit": explicit}


def main(argv: list[str]) -> int:
    """Describe one folder."""
    try:
        found = describe(Path(argv[0]))
    except Exception as error:  # the node's own code may raise anything
        found = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write("\n" + json.dumps(found, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
