def run(ctx, inputs):
    return {"sum": sum(inputs["numbers"]), "max": max(inputs["numbers"])}
