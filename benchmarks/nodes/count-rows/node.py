def run(ctx, inputs):
    return len(inputs["rows"])
