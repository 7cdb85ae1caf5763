import time


def run(ctx, inputs):
    total = sum(row[1] for row in inputs["rows"])
    time.sleep(inputs["answer_ms"] / 1000)  # where a real node would wait for a service
    return {"rows": len(inputs["rows"]), "sum": total}
