"""An analysis of customers in fifteen tasks: a diamond, four batches at once, a join, and a chain of five."""

from __future__ import annotations

import statistics
import sys

import nodeling_bridges.cloacina.api as cloaca

COUNT = 100
BATCHES = 4
LEVELS = ("spread", "segments", "outliers", "advice")
SEGMENTS = ("premium", "standard", "basic")


def customers(count):
    """The same customers each time: nothing here is left to chance."""
    return [
        {"id": i, "segment": SEGMENTS[i % 3], "value": 100 + i * 7919 % 9900} for i in range(1, count + 1)
    ]


def about(found):
    values = [one["value"] for one in found]
    return {"count": len(values), "total": sum(values), "mean": round(statistics.fmean(values), 2)}


def branch(segment):
    def analyse(context):
        mine = [one for one in context["customers"] if one["segment"] == segment]
        context.set(f"{segment}_analysis", about(mine))

    cloaca.task(analyse, id=f"analyse_{segment}", dependencies=["prepare"])


def batch(number):
    def process(context):
        rows = context["batches"][str(number)]
        context.set(f"batch_{number}", [{**one, "score": round(one["value"] * 0.1, 1)} for one in rows])

    cloaca.task(process, id=f"process_{number}", dependencies=["distribute"])


with cloaca.WorkflowBuilder("customer_analysis") as builder:
    builder.description("Segments, batches, and what they say together.")

    @cloaca.task
    def prepare(context):
        context.set("customers", customers(context.get("count", COUNT)))

    branch("premium")
    branch("standard")

    @cloaca.task(dependencies=["analyse_premium", "analyse_standard"])
    def compare(context):
        one, other = context["premium_analysis"], context["standard_analysis"]
        context.set("premium_share", round(one["total"] / (one["total"] + other["total"]), 3))

    @cloaca.task(dependencies=["prepare"])
    def distribute(context):
        rows = context["customers"]
        size = -(-len(rows) // BATCHES)
        context.set("batches", {str(n + 1): rows[n * size : (n + 1) * size] for n in range(BATCHES)})

    for number in range(1, BATCHES + 1):
        batch(number)

    @cloaca.task(dependencies=[f"process_{n}" for n in range(1, BATCHES + 1)])
    def aggregate(context):
        found = [context.get(f"batch_{n}") for n in range(1, BATCHES + 1)]
        rows = [row for one in found if one for row in one]
        if not rows:
            raise ValueError("every batch failed")
        context.set("partial", not all(found))
        context.set("processed", about(rows))
        for key in ("batches", *(f"batch_{n}" for n in range(1, BATCHES + 1))):
            context.delete(key)

    @cloaca.task(dependencies=["aggregate"])
    def spread(context):
        values = sorted(one["value"] for one in context["customers"])
        context.set("quartiles", [values[len(values) * q // 4] for q in (1, 2, 3)])

    @cloaca.task(dependencies=["spread"])
    def segments(context):
        by = {name: [one for one in context["customers"] if one["segment"] == name] for name in SEGMENTS}
        context.set("segments", {name: about(found) for name, found in by.items()})

    @cloaca.task(dependencies=["segments"])
    def outliers(context):
        low, _, high = context["quartiles"]
        context.set("above", sum(one["value"] > high for one in context["customers"]))
        context.set("below", sum(one["value"] < low for one in context["customers"]))

    @cloaca.task(dependencies=["outliers"])
    def advice(context):
        best = max(context["segments"], key=lambda name: context["segments"][name]["mean"])
        context.set("advice", f"look after the {best} customers")

    @cloaca.task(dependencies=["advice", "compare"])
    def report(context):
        context.set("report", {"customers": context["processed"]["count"], "share": context["premium_share"],
                               "advice": context["advice"], "partial": context["partial"]})  # fmt: skip


def main() -> int:
    with cloaca.DefaultRunner("sqlite://:memory:") as runner:
        result = runner.execute("customer_analysis", cloaca.Context({"count": COUNT}))
    done = sum(task.status == "Completed" for task in result.tasks.values())
    print(f"{result.status}: {done} of {len(result.tasks)} tasks")
    print(result.error_message or result.final_context["report"])
    return 0 if result.status == "Completed" else 1


if __name__ == "__main__":
    sys.exit(main())
