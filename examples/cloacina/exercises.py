"""Two exercises: a strategy that follows from the data, and as many batches as the data asks for."""

from __future__ import annotations

import sys

import nodeling_bridges.cloacina.api as cloaca

MOST_BATCHES = 8


def strategy_of(total):
    return "high_value" if total > 500_000 else "medium_value" if total > 200_000 else "basic"


def batches_for(count):
    return 8 if count > 1_000 else 4 if count > 500 else 2


with cloaca.WorkflowBuilder("strategies"):

    @cloaca.task
    def choose(context):
        context.set("strategy", strategy_of(sum(context["values"])))

    for name in ("high_value", "medium_value", "basic"):

        def work(context, name=name):
            context.set("worked_as", name)

        cloaca.task(
            work, id=name, dependencies=["choose"], trigger_rules=cloaca.context_value("strategy", "==", name)
        )

with cloaca.WorkflowBuilder("batches"):

    @cloaca.task
    def split(context):
        values = context["values"]
        count = batches_for(len(values))
        context.set("count", count)
        context.set("parts", {str(n): values[n::count] for n in range(count)})

    for number in range(MOST_BATCHES):

        def add(context, number=number):
            context.set(f"sum_{number}", sum(context["parts"][str(number)]))

        wanted = cloaca.context_value("count", ">", number)
        cloaca.task(add, id=f"batch_{number}", dependencies=["split"], trigger_rules=wanted)

    @cloaca.task(dependencies=[f"batch_{n}" for n in range(MOST_BATCHES)])
    def together(context):
        context.set("total", sum(context[f"sum_{n}"] for n in range(context["count"])))


def main() -> int:
    with cloaca.DefaultRunner() as runner:
        for values in ([6_000] * 100, [3_000] * 100, [1_000] * 100):
            result = runner.execute("strategies", {"values": values})
            skipped = [name for name, task in result.tasks.items() if task.status == "Skipped"]
            print(result.final_context["worked_as"], "and not", " or ".join(skipped))
        for size in (2_000, 800, 100):
            result = runner.execute("batches", {"values": list(range(size))})
            ran = sum(task.status == "Completed" for name, task in result.tasks.items() if "batch" in name)
            print(f"{size} values in {ran} batches: {result.final_context['total']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
