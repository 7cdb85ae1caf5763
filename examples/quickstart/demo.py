"""What `make demo` shows: one mixed workflow, the tree of its steps, and everything it found out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
NEXT = """\
What to try next
  nodectl run workflow.yaml --input '{"text": "your own\\nlines"}'      other input
  nodectl run workflow.yaml --report report.html                      a page with the graph and the times
  nodectl graph workflow.yaml                                         the workflow, drawn
  nodectl nodes show parallel                                         what a container takes
  nodectl test                                                        the examples of these nodes
  nodectl create node --template bash                                 a node of your own
(in examples/quickstart, after: source .venv/bin/activate)"""


def main() -> int:
    """Run the workflow as anybody would, and lay out its result."""
    command = [str(BIN / "nodectl"), "run", "workflow.yaml", "--json"]
    say("Three kinds of node, side by side")
    print("$ nodectl run workflow.yaml\n", flush=True)
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        print(done.stdout.decode("utf-8"))
        return done.returncode
    run: dict[str, Any] = json.loads(done.stdout)
    look = run["outputs"]["look"]
    children = [child["name"] for child in look["execution_info"]["children"]]

    say("Results of the parallel step, in declared order")
    for name, result in zip(children, look["results"], strict=True):
        print(f"  {name:<10} {json.dumps(result)}")
    say("Errors (continue-partial: the run goes on without that child)")
    for error in look["errors"]:
        print(f"  {error['node']:<10} [{error['code']}] {error['message']}")
    say("execution_info, measured by the engine")
    for key, value in look["execution_info"].items():
        if key != "children":
            print(f"  {key:<16} {value}")
    for child in look["execution_info"]["children"]:
        where = child["worker"] or "the engine's loop"
        print(f"    {child['name']:<10} {child['status']:<9} {child['duration_ms']:>8.1f} ms  {where}")
    say("Output of the run")
    print(f"  {json.dumps(run['output'])}\n")
    print(NEXT)
    return 0


def say(title: str) -> None:
    """A headline."""
    print(f"\n{title}\n{'-' * len(title)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
