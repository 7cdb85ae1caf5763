def run(ctx, inputs):
    return [{"id": i, "name": f"row {i}", "ok": True} for i in range(inputs["count"])]
