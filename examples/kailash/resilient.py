"""Three suppliers, one of them broken and one too slow; what they fail to say comes from yesterday's list.

Then the broken one's circuit opens, and it is left alone.
"""

from __future__ import annotations

from servers import serving

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.api import RestClientNode
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode
from nodeling_bridges.kailash.api.nodes.logic import MergeNode, SwitchNode
from nodeling_bridges.kailash.api.nodes.transform import DataTransformer

SUPPLIERS = ("oak", "broken", "slow")
YESTERDAY = "result = {'price': 9, 'from': 'yesterday', 'because': error['message'].partition(' ')[2]}"


def answer(site, path, body):
    if path == "/slow":
        site.over.wait(60)
    return (500, "out of order") if path == "/broken" else (200, {"price": 7})


def prices(site):
    workflow = Workflow("prices")
    workflow.add_node("list", MergeNode(merge_strategy="collect_all"))
    for name in SUPPLIERS:
        workflow.add_node(
            name, RestClientNode(url=f"{site.url}/{name}", timeout=400 if name == "slow" else 30_000)
        )
        workflow.add_node(
            f"{name}_is_fine", SwitchNode(condition="status_code == 200 and response is not None")
        )
        workflow.add_node(
            f"{name}_today", DataTransformer(transformations=["lambda x: {**x, 'from': 'today'}"])
        )
        workflow.add_node(f"{name}_yesterday", PythonCodeNode(name=name, code=YESTERDAY))
        workflow.connect(name, f"{name}_is_fine")
        for branch, brings, after, takes in (
            ("true_output", "response", "today", "data"),
            ("false_output", "error", "yesterday", "error"),
        ):
            workflow.connect(f"{name}_is_fine", f"{name}_{after}", output_key=branch, mapping={brings: takes})
            workflow.connect(f"{name}_{after}", "list", mapping={"result": name})
    return workflow


def main():
    with serving(answer) as site:
        workflow = prices(site)
        runtime = LocalRuntime(circuit_breaker={"failure_threshold": 2, "recovery_timeout": 60})
        for time in ("first", "second", "third"):
            results, _ = runtime.execute(workflow)
            if time != "second":
                print(f"the {time} time:")
                for name, price in results["list"]["merged_data"].items():
                    print(" ", name, price)
        asked = [path for path, _, _ in site.heard]
        print({name: asked.count(f"/{name}") for name in SUPPLIERS})


if __name__ == "__main__":
    main()
