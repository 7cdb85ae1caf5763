"""One page out of four services, all of which are asked at the same time."""

from __future__ import annotations

import threading

from servers import serving

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.api import RestClientNode
from nodeling_bridges.kailash.api.nodes.logic import MergeNode

ANSWERS = {
    "/tides": {"high": "06:12"},
    "/ferries": {"next": "07:40"},
    "/wind": {"knots": 14},
    "/fish": {"kg": 320},
}


def main():
    everybody = threading.Barrier(len(ANSWERS))

    def answer(site, path, body):
        everybody.wait(60)  # nobody is answered before all four are here
        return 200, ANSWERS[path]

    with serving(answer) as site:
        workflow = Workflow("harbour", name="A page for the harbour")
        workflow.add_node("page", MergeNode(merge_strategy="combine_dict"))
        for path in ANSWERS:
            name = path.strip("/")
            workflow.add_node(name, RestClientNode(url=site.url + path, timeout=30_000))
            workflow.connect(name, "page", mapping={"response": name})
        keys = {path.strip("/"): {"headers": {"X-Key": f"key of {path}"}} for path in ANSWERS}
        results, _ = LocalRuntime().execute(workflow, parameters=keys)
        sent = sorted(headers["X-Key"] for _, _, headers in site.heard)
        print(results["page"]["merged_data"])
        print(f"{site.peak} at once; keys sent: {len(set(sent))}")


if __name__ == "__main__":
    main()
