"""Every wait and every bound of the workers, by name: nothing here waits without one of these."""

from __future__ import annotations

import os

from nodeling._dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long, how many, how large. Times are seconds."""

    startup: float = 30.0  # from the start of a process to its answer to node/hello
    write_timeout: float = 10.0  # without a single byte taken
    write_budget: int = 64 * 1024 * 1024  # bytes queued for one worker before it gets no more calls
    cancel_grace: float = 1.0  # from node/cancel to the kill, for nodes that can be asked
    exit_grace: float = 5.0  # from the end of its input to SIGTERM
    kill_grace: float = 2.0  # from SIGTERM to SIGKILL
    max_stream_buffer: int = 64 * 1024 * 1024  # bytes of one call's chunks kept in memory
    credit: int = 16  # chunks that a node may be ahead of whoever takes them
    drain_cap: float = 60.0  # how long siblings of a stuck call may go on
    exit_report: float = 1.0  # from the end of a channel to the news of the process's end
    gone: float = 2.0  # from a kill to the end of the last descendant
    ping_interval: float = 30.0  # without a frame
    ping_timeout: float = 10.0
    ping_misses: int = 2
    idle_ttl: float = 300.0
    max_requests: int | None = None  # calls before a worker is replaced
    max_age: float | None = None  # of a process whose call has ended before it is replaced
    max_rss_mb: float | None = None  # memory after a call before a worker is replaced
    crashes: int = 5  # in a row, none of them further back than the window
    crash_window: float = 60.0
    first_delay: float = 0.1  # before the start after the second crash in a row; doubled each time
    longest_delay: float = 5.0
    most_workers: int = max(32, 8 * (os.cpu_count() or 1))  # processes at once, of all nodes together
    open_files: int = 1024
    processes: int = 1024  # of one worker's tree, where its manifest says nothing
    disk_mb: float = 10 * 1024  # in one worker's folders, and of one file, where its manifest says nothing
