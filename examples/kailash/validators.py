"""Four judges look at the same transfers at once; a fifth node sums up what they found."""

from __future__ import annotations

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode
from nodeling_bridges.kailash.api.nodes.transform import ValidationNode

TRANSFERS = [
    {"id": 1, "payer": "A", "payee": "B", "sum": 50, "country": "NL", "note": "rent"},
    {"id": 2, "payer": "A", "payee": "A", "sum": 20, "country": "NL", "note": ""},
    {"id": 2, "payer": "B", "payee": "C", "sum": -5, "country": "XX", "note": "<script>"},
    {"id": 4, "payer": "C", "payee": "B", "country": "DE", "note": "gift"},
]
JUDGES = {
    "schema": {
        "schema": {"required": ["id", "sum"], "properties": {"sum": {"type": "integer"}}},
        "unique": ["id"],
    },
    "business": {"rules": [{"name": "two parties", "condition": "payer != payee"}]},
    "security": {"rules": [{"name": "plain note", "condition": "'<' not in note"}]},
    "compliance": {"rules": [{"name": "known country", "condition": "country in ['NL', 'DE', 'FR']"}]},
}
SUM_UP = """
found = {'schema': schema, 'business': business, 'security': security, 'compliance': compliance}
errors = {name: one['error_count'] for name, one in found.items()}
result = {'fit': all(one['valid'] for one in found.values()), 'errors': errors}
"""


def main():
    workflow = Workflow("transfers")
    workflow.add_node("transfers", PythonCodeNode(name="transfers", code="result = given"))
    workflow.add_node("verdict", PythonCodeNode(name="verdict", code=SUM_UP))
    for name, asked in JUDGES.items():
        workflow.add_node(name, ValidationNode(**asked))
        workflow.connect("transfers", name, mapping={"result": "data"})
        workflow.connect(name, "verdict", mapping={"result": name})
    results, _ = LocalRuntime().execute(workflow, parameters={"given": TRANSFERS})
    print(results["verdict"]["result"])
    for name in JUDGES:
        print(name, [error["check"] for error in results[name]["errors"]])


if __name__ == "__main__":
    main()
