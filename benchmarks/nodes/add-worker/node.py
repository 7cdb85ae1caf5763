def run(ctx, inputs):
    return inputs["value"] + 1
