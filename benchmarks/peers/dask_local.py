"""dask.distributed: a scheduler and a worker of five threads in this process."""

from __future__ import annotations

import time

import dask
from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve
from distributed import Client, LocalCluster


def add_one(value: int) -> int:
    return value + 1


def doze(value: int) -> int:
    time.sleep(SLEEP_SECONDS)
    return value


def fan(client, node, width):
    return sum(client.gather(client.map(node, range(width), pure=False)))


def chain(client, length):
    future = client.submit(add_one, 0, pure=False)
    for _ in range(length - 1):
        future = client.submit(add_one, future, pure=False)
    return future.result()


if __name__ == "__main__":
    dask.config.set({"distributed.comm.timeouts.connect": "20s"})
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=SLEEPERS_AT_ONCE,
            processes=False,
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        serve(
            {
                "fan": lambda size: fan(client, add_one, size),
                "chain": lambda size: chain(client, size),
                "sleeps": lambda size: fan(client, doze, SLEEPS),
            }
        )
