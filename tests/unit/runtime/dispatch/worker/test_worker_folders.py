"""A work folder serves one call after the other as long as nothing was ever done to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodeling_runtime.dispatch.worker import folders as module
from nodeling_runtime.dispatch.worker.folders import WorkerFolders, WorkFolder


@pytest.fixture(params=["young", "old"])
def folders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerFolders]:
    made = WorkerFolders()
    if request.param == "old":  # as if it had been made long ago
        monkeypatch.setattr(module, "_YOUNG_NS", 0)
        made.give_back(made.take_work())
    yield made
    made.remove()


def test_an_untouched_folder_serves_again(folders: WorkerFolders) -> None:
    first = folders.take_work()
    folders.give_back(first)
    assert folders.take_work() is first


def fill(folder: WorkFolder) -> None:
    Path(folder.path, "file").touch()


def fill_and_hide(folder: WorkFolder) -> None:
    fill(folder)
    os.utime(folder.path, ns=(0, 0))


def come_and_go(folder: WorkFolder) -> None:
    fill(folder)
    os.unlink(os.path.join(folder.path, "file"))


def open_to_all(folder: WorkFolder) -> None:
    os.chmod(folder.path, 0o777)


def remove(folder: WorkFolder) -> None:
    os.rmdir(folder.path)


def replace(folder: WorkFolder) -> None:
    os.rename(folder.path, folder.path + "-away")
    os.mkdir(folder.path, 0o700)
    fill(folder)


def link(folder: WorkFolder) -> None:
    os.rename(folder.path, folder.path + "-away")
    os.symlink(folder.path + "-away", folder.path)


CHANGES: list[Callable[[WorkFolder], None]] = [
    fill,
    fill_and_hide,
    come_and_go,
    open_to_all,
    remove,
    replace,
    link,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_anything_was_done_to_never_serves_again(
    folders: WorkerFolders, change: Callable[[WorkFolder], None]
) -> None:
    first = folders.take_work()
    change(first)
    folders.give_back(first)
    second = folders.take_work()
    assert second.path != first.path and os.listdir(second.path) == []
    assert not os.path.lexists(first.path)


def test_no_descriptor_is_left_when_the_folders_are_removed() -> None:
    before = set(os.listdir("/proc/self/fd"))
    made = WorkerFolders()
    made.give_back(made.take_work())
    made.take_work()
    made.remove()
    assert set(os.listdir("/proc/self/fd")) == before and not os.path.exists(made.root)
