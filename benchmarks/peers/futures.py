"""A pool of five threads of `concurrent.futures`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve


def add_one(value: int) -> int:
    return value + 1


def doze(value: int) -> int:
    time.sleep(SLEEP_SECONDS)
    return value


def chain(pool, length):
    value = 0
    for _ in range(length):
        value = pool.submit(add_one, value).result()
    return value


if __name__ == "__main__":
    with ThreadPoolExecutor(SLEEPERS_AT_ONCE) as pool:
        serve(
            {
                "fan": lambda size: sum(pool.map(add_one, range(size))),
                "chain": lambda size: chain(pool, size),
                "sleeps": lambda size: sum(pool.map(doze, range(SLEEPS))),
            }
        )
