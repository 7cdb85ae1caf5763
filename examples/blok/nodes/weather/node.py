from nodeling import NodeError


def run(ctx, inputs):
    raise NodeError(f"no weather for {inputs['city']}: the service is down", code=5005)
