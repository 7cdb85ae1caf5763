"""A worker's process that was started before anybody knows that it will be needed.

It needs no loop, so it can be started while a workflow is still being checked. Invariant: it was sent
nothing yet, so it has run nothing of its node; and the warden ends it in time when nobody fetches it.
"""

from __future__ import annotations

from nodeling_runtime.dispatch.process import Exit
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.folders import WorkerFolders
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.pipes import WorkerPipes
from nodeling_runtime.dispatch.worker.warden import Warden


class Embryo:
    """A process that waits for its first frame."""

    def __init__(self, launch: Launch, warden: Warden, bounds: Bounds) -> None:
        self.pid = 0
        self._warden = warden
        self._is_dead = False
        self.folders = WorkerFolders()
        try:
            self.pipes = WorkerPipes(launch.channel)
            try:
                self.id = warden.spawn(launch.start(self.folders, bounds), self.pipes.theirs, self)
            except BaseException:
                self.pipes.close()
                raise
        except BaseException:
            self.folders.remove()
            raise
        self.pipes.close_theirs()
        warden.park(self.id, bounds.idle_ttl)

    @property
    def is_alive(self) -> bool:
        """Whether it can become a worker."""
        return not self._is_dead and not self.pipes.has_hung_up

    def discard(self) -> None:
        """It is not needed after all."""
        self._warden.kill(self.id)
        self.abandon()

    def abandon(self) -> None:
        """Let go of what is held here; the process is somebody else's to end."""
        self._is_dead = True
        self.pipes.abandon()
        self.folders.remove()

    def started(self, pid: int) -> None:
        """The process runs."""
        self.pid = pid

    def refused(self, _error: OSError) -> None:
        """The process could not be started; whoever needs it will hear why when it is tried again."""
        self.abandon()

    def exited(self, _exit: Exit, _cause: str | None, _measured: float) -> None:
        """The process has ended."""
        self.abandon()

    def gone_for_good(self) -> None:
        """Nothing that the process started is left."""
