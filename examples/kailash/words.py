"""Map and reduce: words are counted by four, grouped, and added up by two."""

from __future__ import annotations

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode

CUT = "result = {f'lines_{n}': lines[n::4] for n in range(4)}"
MAP = """
import re
result = [[word, 1] for line in lines for word in re.findall(r'[a-z]+', line.lower())]
"""
GROUP = """
groups = {}
for n in range(4):
    for word, one in locals()[f'pairs_{n}']:
        groups.setdefault(word, []).append(one)
words = sorted(groups)
result = {f'groups_{n}': {word: groups[word] for word in words[n::2]} for n in range(2)}
"""
REDUCE = "result = {word: sum(ones) for word, ones in groups.items()}"
TOGETHER = "result = sorted({**one, **other}.items(), key=lambda pair: (-pair[1], pair[0]))[:3]"
TEXT = ["The sea, the sea!", "A boat on the sea", "the boat", "sea and sky", "the sky"]


def main():
    workflow = Workflow("words")
    for name, code in (("cut", CUT), ("group", GROUP), ("together", TOGETHER)):
        workflow.add_node(name, PythonCodeNode(name=name, code=code))
    for n in range(4):
        workflow.add_node(f"map_{n}", PythonCodeNode(name=f"map_{n}", code=MAP))
        workflow.connect("cut", f"map_{n}", mapping={f"lines_{n}": "lines"})
        workflow.connect(f"map_{n}", "group", mapping={"result": f"pairs_{n}"})
    for n, word in enumerate(("one", "other")):
        workflow.add_node(f"reduce_{n}", PythonCodeNode(name=f"reduce_{n}", code=REDUCE))
        workflow.connect("group", f"reduce_{n}", mapping={f"groups_{n}": "groups"})
        workflow.connect(f"reduce_{n}", "together", mapping={"result": word})
    results, _ = LocalRuntime().execute(workflow, parameters={"cut": {"lines": TEXT}})
    print(results["together"]["result"])


if __name__ == "__main__":
    main()
