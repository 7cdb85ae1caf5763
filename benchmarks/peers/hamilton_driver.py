"""Hamilton's driver over functions made for the occasion; it runs them one after the other."""

from __future__ import annotations

import functools

from answering import serve
from hamilton import ad_hoc_utils, driver


def functions(source):
    """Functions as a module of the user's would hold them."""
    found = {}
    exec(source, found)
    return [one for name, one in found.items() if callable(one) and not name.startswith("__")]


@functools.cache
def driver_of(kind, size):
    if kind == "fan":
        lines = [f"def n{i}(start: int) -> int:\n    return start + {i + 1}\n" for i in range(size)]
        names = [f"n{i}" for i in range(size)]
        wanted = ", ".join(f"{name}: int" for name in names)
        lines.append(f"def last({wanted}) -> int:\n    return {' + '.join(names)}\n")
    else:
        lines = ["def n0(start: int) -> int:\n    return start + 1\n"]
        lines += [f"def n{i}(n{i - 1}: int) -> int:\n    return n{i - 1} + 1\n" for i in range(1, size)]
        lines.append(f"def last(n{size - 1}: int) -> int:\n    return n{size - 1}\n")
    module = ad_hoc_utils.create_temporary_module(*functions("\n".join(lines)), module_name=f"{kind}_{size}")
    return driver.Builder().with_modules(module).build()


def run(kind, size):
    return driver_of(kind, size).execute(["last"], inputs={"start": 0})["last"]


if __name__ == "__main__":
    serve({"fan": lambda size: run("fan", size), "chain": lambda size: run("chain", size)})
