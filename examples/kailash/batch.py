"""Readings in four parts, each judged in a process of its own, and put together in their order."""

from __future__ import annotations

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode
from nodeling_bridges.kailash.api.nodes.transform import DataTransformer

PARTS = 4
DEAL = f"result = {{f'part_{{n}}': readings[n::{PARTS}] for n in range({PARTS})}}"
JUDGE = [
    "def level(value): return 'high' if value > 90 else 'low' if value < 10 else 'normal'",
    "lambda row: {**row, 'level': level(row['value'])}",
]
GATHER = f"""
rows = []
for n in range({PARTS}):
    rows.extend(locals().get(f'judged_{{n}}', []))
rows.sort(key=lambda row: row['at'])
result = {{'rows': rows, 'high': sum(row['level'] == 'high' for row in rows)}}
"""


def main():
    workflow = Workflow("readings")
    workflow.add_node("deal", PythonCodeNode(name="deal", code=DEAL))
    workflow.add_node("gather", PythonCodeNode(name="gather", code=GATHER))
    for n in range(PARTS):
        workflow.add_node(f"judge_{n}", DataTransformer(transformations=JUDGE))
        workflow.connect("deal", f"judge_{n}", mapping={f"part_{n}": "data"})
        workflow.connect(f"judge_{n}", "gather", mapping={"result": f"judged_{n}"})
    readings = [{"at": at, "value": at * 37 % 101} for at in range(2_000)]
    found = LocalRuntime().execute(workflow, parameters={"readings": readings})[0]["gather"]["result"]
    print(f"{len(found['rows'])} rows, {found['high']} high, in order: {found['rows'][5]}")


if __name__ == "__main__":
    main()
