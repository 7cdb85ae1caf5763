def run(ctx, inputs):
    return [{"id": number, "text": text} for number, text in enumerate(inputs["texts"], start=1)]
