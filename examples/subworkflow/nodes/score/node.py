def run(ctx, inputs):
    return inputs["text"].count("good") - inputs["text"].count("bad")
