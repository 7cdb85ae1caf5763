"""execnet: functions called in warm Python processes over pipes; nothing is checked, named or timed."""

from __future__ import annotations

import execnet
from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve

LOOP = """
import time
for kind, value in channel:
    if kind == "doze":
        time.sleep({seconds})
        channel.send(value)
    else:
        channel.send({{"value": value + 1}}["value"] if kind == "add" else value)
"""


def fan(channel, width):
    for value in range(width):
        channel.send(("add", value))
    return sum(channel.receive() for _ in range(width))


def chain(channel, length):
    value = 0
    for _ in range(length):
        channel.send(("add", value))
        value = channel.receive()
    return value


def sleeps(channels):
    for value in range(SLEEPS):
        channels[value % len(channels)].send(("doze", value))
    return sum(channels[value % len(channels)].receive() for value in range(SLEEPS))


if __name__ == "__main__":
    group = execnet.Group()
    code = LOOP.format(seconds=SLEEP_SECONDS)
    channels = [group.makegateway("popen").remote_exec(code) for _ in range(SLEEPERS_AT_ONCE)]
    try:
        serve(
            {
                "fan": lambda size: fan(channels[0], size),
                "chain": lambda size: chain(channels[0], size),
                "sleeps": lambda size: sleeps(channels),
            }
        )
    finally:
        group.terminate(timeout=5)
