def run(ctx, inputs):
    return f"{', '.join(inputs['sorted'].splitlines())} ({inputs['bytes']} bytes)"
