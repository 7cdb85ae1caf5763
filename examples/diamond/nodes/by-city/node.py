from collections import Counter


def run(ctx, inputs):
    sums = Counter()
    for order in inputs["orders"]:
        sums[order["city"]] += order["amount"]
    return dict(sorted(sums.items()))
