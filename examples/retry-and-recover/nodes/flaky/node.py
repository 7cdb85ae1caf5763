from nodeling import Context, NodeError


def run(ctx: Context, inputs: dict) -> dict:
    if ctx.attempt < inputs["works_at"]:
        raise NodeError(f"attempt {ctx.attempt} got no answer", code=5002)
    return {"attempt": ctx.attempt}
