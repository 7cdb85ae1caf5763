def run(ctx, inputs):
    return inputs
