import asyncio

from nodeling import Context, NodeError


async def run(ctx: Context, inputs: dict) -> dict:
    await asyncio.sleep(0.1)  # the time a service would take
    if inputs.get("broken"):
        raise NodeError(f"no answer from {inputs['part']}", code=5002)
    return {"part": inputs["part"], "rows": inputs["rows"]}
