def run(ctx, inputs):
    return f"to {inputs['to']}: {inputs['text']}"
