"""A child that misbehaves as its script says: the other half of the kit, against hosts.

    python hostile.py ID

plays one entry of `misbehaviours.json` on stdin and stdout, or on the pair that NODELING_FDS names. An
entry has `hello` (what is done in place of the greeting), `greet` (members that the greeting gets
instead), and `invoke` (what is done at the first call); every later call is answered well, with the number
of the process, and so is a first one whose input is "behave". In frames and texts `$id` stands for the
request's number, and `$last` for that of the one before.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "misbehaviours.json"


class Child:
    """One process."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.calls = 0
        self.ids = ["0", "0"]
        fds = os.environ.pop("NODELING_FDS", "")
        self.read_fd, self.write_fd = map(int, fds.split(",")) if fds else (0, 1)

    def serve(self) -> None:
        """Play the script until the host is gone."""
        with os.fdopen(self.read_fd, "rb", closefd=False) as lines:
            for line in lines:
                frame = json.loads(line)
                if "id" not in frame:
                    continue
                self.ids = [self.ids[1], json.dumps(frame["id"])]
                self.react(frame)

    def react(self, frame: dict[str, Any]) -> None:
        """Answer one request, or do what the script says instead."""
        if frame["method"] == "node/hello":
            self.blobs = frame["params"].get("blob_dir")
            if "hello" in self.case:
                return self.play(self.case["hello"])
            return self.end("result", self.greeting())
        if frame["method"] == "node/invoke":
            self.calls += 1
            # A replacement of a process that was lost is told by its input.
            if self.calls == 1 and frame["params"].get("input") != "behave":
                return self.play(self.case.get("invoke", [["answer", "fine"]]))
            return self.end("result", {"output": os.getpid()})
        return self.end("error", {"code": -32601, "message": "no such method"})

    def greeting(self) -> dict[str, Any]:
        """A proper one, but for what the case replaces."""
        found = {
            "protocol": 1,
            "node": {"name": "probe", "version": "0.0.0"},
            "sdk": {"name": "hostile", "version": "1", "language": "python"},
            "features": [],
            "max_concurrency": 1,
        }
        return {**found, **self.case.get("greet", {})}

    def play(self, actions: list[list[Any]]) -> None:
        """Do one thing after the other."""
        for name, *given in actions:
            getattr(self, f"do_{name}")(*given)

    def end(self, kind: str, body: Any) -> None:
        """A terminal frame for the present request."""
        text = json.dumps({"jsonrpc": "2.0", "id": "$id", kind: body})
        self.do_raw(text.replace('"$id"', self.ids[1]) + "\n")

    # -- what a script may say

    def do_answer(self, value: Any) -> None:
        """A result with an output."""
        self.end("result", {"output": value})

    def do_result(self, body: Any) -> None:
        """A result as it is given."""
        self.end("result", body)

    def do_error(self, body: Any) -> None:
        """An error as it is given."""
        self.end("error", body)

    def do_frame(self, frame: Any) -> None:
        """Any frame."""
        self.do_raw(json.dumps(frame).replace('"$id"', self.ids[1]).replace('"$last"', self.ids[0]) + "\n")

    def do_raw(self, text: str) -> None:
        """Any text on the channel."""
        data = text.replace("$id", self.ids[1]).encode("utf-8", "surrogateescape")
        while data:
            data = data[os.write(self.write_fd, data) :]

    def do_hex(self, digits: str) -> None:
        """Any bytes on the channel."""
        os.write(self.write_fd, bytes.fromhex(digits))

    def do_times(self, count: int, actions: list[list[Any]]) -> None:
        """Actions again and again."""
        for _ in range(count):
            self.play(actions)

    def do_fill(self, text: str, count: int) -> None:
        """One text so many times."""
        self.do_raw(text * count)

    def do_stderr(self, text: str, count: int) -> None:
        """The same on stderr."""
        with os.fdopen(2, "wb", closefd=False) as errors:
            errors.write(text.encode() * count)

    def do_stdout(self, text: str, count: int) -> None:
        """The same on stdout."""
        with os.fdopen(1, "wb", closefd=False) as out:
            out.write(text.encode() * count)

    def do_exit(self, code: int) -> None:
        """End with a status."""
        os._exit(code)

    def do_kill(self, number: int) -> None:
        """End by a signal."""
        os.kill(os.getpid(), number)

    def do_close(self) -> None:
        """Close the channel and live on."""
        os.close(self.write_fd)

    def do_rest(self) -> None:
        """Do nothing more, for ever."""
        while True:
            signal.pause()

    def do_holder(self, seconds: int) -> None:
        """A grandchild in a session of its own that holds every descriptor there is."""
        subprocess.Popen(["sleep", str(seconds)], close_fds=False, start_new_session=True)  # noqa: S603, S607

    def do_blob(self, name: str, text: str) -> None:
        """A file in the blob folder."""
        Path(self.blobs, name).write_text(text, encoding="utf-8")

    def do_link(self, name: str, target: str) -> None:
        """A symbolic link there."""
        Path(self.blobs, name).symlink_to(target)

    def do_fifo(self, name: str) -> None:
        """A named pipe there."""
        os.mkfifo(Path(self.blobs, name))


def main() -> None:
    """Play the entry that the command line names."""
    entries = json.loads(FILE.read_text(encoding="utf-8"))
    Child(next(entry for entry in entries if entry["id"] == sys.argv[1])).serve()


if __name__ == "__main__":
    main()
