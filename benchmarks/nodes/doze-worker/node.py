import time


def run(ctx, inputs):
    time.sleep(0.1)
    return inputs["value"]
