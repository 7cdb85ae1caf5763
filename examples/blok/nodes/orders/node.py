def run(ctx, inputs):
    return {"id": inputs["id"], "total": inputs["id"] * 10}
