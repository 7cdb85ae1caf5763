"""A queue of files, dealt out to three processes that work at the same time."""

from __future__ import annotations

import tempfile
from pathlib import Path

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode
from nodeling_bridges.kailash.api.nodes.data import DirectoryReaderNode, FileProcessorNode

WORKERS = 3
DEAL = f"result = {{f'share_{{n}}': [one['path'] for one in queue[n::{WORKERS}]] for n in range({WORKERS})}}"
COLLECT = f"""
result = []
for n in range({WORKERS}):
    result.extend((one['file'][-5:], one['value']) for one in locals()[f'done_{{n}}'])
result.sort()
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        for n in range(7):
            Path(folder, f"{n}.txt").write_text("line\n" * (n * n), encoding="utf-8")
        workflow = Workflow("queue")
        workflow.add_node("queue", DirectoryReaderNode(directory_path=folder, pattern="*.txt"))
        workflow.add_node("deal", PythonCodeNode(name="deal", code=DEAL))
        workflow.add_node("collect", PythonCodeNode(name="collect", code=COLLECT))
        workflow.connect("queue", "deal", mapping={"files": "queue"})
        for n in range(WORKERS):
            workflow.add_node(f"worker_{n}", FileProcessorNode(operation="lines"))
            workflow.connect("deal", f"worker_{n}", mapping={f"share_{n}": "files"})
            workflow.connect(f"worker_{n}", "collect", mapping={"results": f"done_{n}"})
        print(LocalRuntime(max_concurrency=WORKERS).execute(workflow)[0]["collect"]["result"])


if __name__ == "__main__":
    main()
