def run(ctx, inputs):
    return sum(order["amount"] for order in inputs["orders"])
