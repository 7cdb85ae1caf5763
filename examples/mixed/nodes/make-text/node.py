async def run(ctx, inputs):
    return {"text": "".join(word + "\n" for word in inputs["words"])}
