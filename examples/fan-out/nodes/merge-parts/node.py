def run(ctx, inputs):
    rows = sum(result["rows"] for result in inputs["results"] if result is not None)
    return {"rows": rows, "missing": [error["node"] for error in inputs["errors"]]}
