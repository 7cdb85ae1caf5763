import json
import re

NAME = re.compile(r"[a-z]+ [0-9]+")


def is_right(row):
    return isinstance(row["id"], int) and row["id"] >= 0 and NAME.fullmatch(row["name"]) and row["ok"] is True


def run(ctx, inputs):
    with open(inputs["file"], "rb") as file:
        file.seek(inputs["from"])
        lines = file.read(inputs["size"]).splitlines()
    wrong = sum(1 for line in lines if not is_right(json.loads(line)))
    return {"rows": len(lines), "wrong": wrong}
