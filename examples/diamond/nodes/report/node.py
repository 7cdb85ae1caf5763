def run(ctx, inputs):
    best = max(inputs["cities"], key=inputs["cities"].__getitem__)
    return f"{inputs['total']} in all; most in {best} ({inputs['cities'][best]})"
