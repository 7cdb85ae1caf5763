def run(ctx, inputs):
    return len(inputs["text"].split())
