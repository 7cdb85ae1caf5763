"""Prefect with its temporary server: tasks mapped in five threads, and tasks one after the other."""

from __future__ import annotations

import os
import tempfile
import time

from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nodeling-bench-") as folder:
        os.environ |= {
            "PREFECT_HOME": folder,
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
            "DO_NOT_TRACK": "1",
        }
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        @task
        def add_one(value: int) -> int:
            return value + 1

        @task
        def doze(value: int) -> int:
            time.sleep(SLEEP_SECONDS)
            return value

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=SLEEPERS_AT_ONCE))
        def fan(width: int) -> int:
            return sum(add_one.map(range(width)).result())

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=SLEEPERS_AT_ONCE))
        def sleeps(width: int) -> int:
            return sum(doze.map(range(width)).result())

        @flow
        def chain(length: int) -> int:
            value = 0
            for _ in range(length):
                value = add_one(value)
            return value

        serve({"durable-fan": fan, "durable-chain": chain, "sleeps": lambda size: sleeps(SLEEPS)})
