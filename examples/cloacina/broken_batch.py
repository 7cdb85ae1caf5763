"""The analysis with a batch that fails: what the others found is kept, and the run is Failed all the same."""

from __future__ import annotations

import sys

import nodeling_bridges.cloacina.api as cloaca


def build(name, broken):
    with cloaca.WorkflowBuilder(name):
        for number in (1, 2, 3):

            def work(context, number=number):
                if number in broken:
                    raise ValueError(f"batch {number} is broken")
                context.set(f"batch_{number}", number * 100)

            cloaca.task(work, id=f"batch_{number}", retry_attempts=1)

        def together(context):
            found = [context.get(f"batch_{n}") for n in (1, 2, 3)]
            if not any(found):
                raise ValueError("every batch failed")
            context.set("total", sum(one for one in found if one))
            context.set("partial", not all(found))

        cloaca.task(together, id="together", dependencies=["batch_1", "batch_2", "batch_3"], retry_attempts=1)


def main() -> int:
    with cloaca.DefaultRunner() as runner:
        for name, broken in (("whole", ()), ("partial", (2,)), ("nothing", (1, 2, 3))):
            build(name, broken)
            result = runner.execute(name)
            kept = {key: result.final_context.get(key) for key in ("total", "partial")}
            print(name, result.status, kept, [n for n, t in result.tasks.items() if t.status == "Failed"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
