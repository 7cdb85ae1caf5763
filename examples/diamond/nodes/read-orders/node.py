from nodeling import Context, NodeError


def run(ctx: Context, inputs: dict) -> dict:
    orders = []
    for number, line in enumerate(inputs["text"].splitlines(), start=1):
        city, _, amount = line.partition(",")
        if not amount.strip().isdigit():
            raise NodeError(f"line {number}: {amount.strip()!r} is not an amount", code=4001)
        orders.append({"city": city.strip(), "amount": int(amount)})
    ctx.log(f"read {len(orders)} orders")
    return {"orders": orders}
