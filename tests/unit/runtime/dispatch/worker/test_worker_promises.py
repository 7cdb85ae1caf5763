"""What a machine cannot keep is said, with what is lost by it."""

from __future__ import annotations

import errno
import os

import pytest

from nodeling_runtime.dispatch.worker.promises import promises
from nodeling_runtime.dispatch.worker.warden import Warden
from worker_calls import below


def test_here_everything_holds_but_what_holds_nowhere() -> None:
    before = below(os.getpid())
    found = {promise.name: promise for promise in promises()}
    assert [name for name, promise in found.items() if not promise.holds] == ["escapes"]
    assert all(promise.lost for promise in found.values() if not promise.holds)
    assert below(os.getpid()) == before


def test_without_a_subreaper_orphans_are_said_to_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no(_warden: Warden) -> bool:
        return False

    monkeypatch.setattr(Warden, "ask", no)
    found = {promise.name: promise for promise in promises()}
    assert not found["subreaper"].holds
    assert "outlives" in str(found["subreaper"].lost)


def test_without_pidfds_no_worker_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    (only,) = promises()
    assert not only.holds
    assert "not implemented" in only.detail
