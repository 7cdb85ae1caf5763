ROW_BYTES = 50  # of one row as JSON, its comma counted


def run(ctx, inputs):
    count = int(inputs["megabytes"] * 1_000_000 / ROW_BYTES)
    return [[n, n % 97, f"row {n:08d} of the dataset, padded"] for n in range(count)]
