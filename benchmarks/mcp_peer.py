"""A session of the official MCP SDK with an echo tool over stdio, as a contestant."""

from __future__ import annotations

import json
import selectors
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.comparisons.stage import FailedError, Stage
from benchmarks.environments import NotInstalledError, python_with
from benchmarks.peer import ANSWER_SECONDS, END_SECONDS, MCP
from benchmarks.turns import Contestant


class McpSession:
    """A client and its server; both have the SDK."""

    label = MCP.label

    def __init__(self) -> None:
        """Start them; installs the SDK when it is not there.

        Raises:
            NotInstalledError: It cannot be installed here.
        """
        self._python = python_with(MCP.name, MCP.requirements)
        self._clients: dict[str, subprocess.Popen[str]] = {}

    @classmethod
    def started(cls, stage: Stage) -> McpSession | None:
        """A session, unless it is not wanted or not to be had: then the stage knows why."""
        if MCP.name not in stage.wanted:
            return None
        try:
            return cls()
        except NotInstalledError as error:
            stage.absent[MCP.label] = str(error)
            return None

    def contestant(self, rows: Any, calls: int, at_once: int) -> Contestant:
        """Microseconds a call with these rows."""

        async def turn() -> float:
            client = self._client(json.dumps(rows))
            if client.stdin is None or client.stdout is None:
                raise FailedError(self.label, "the client has no pipes")
            try:
                client.stdin.write(f"{calls} {at_once}\n")
                client.stdin.flush()
            except OSError as error:
                raise FailedError(self.label, f"the client is gone: {error.strerror}") from error
            with selectors.DefaultSelector() as selector:
                selector.register(client.stdout, selectors.EVENT_READ)
                if not selector.select(ANSWER_SECONDS):
                    raise FailedError(self.label, f"no answer within {ANSWER_SECONDS:.0f} s")
            answer = client.stdout.readline()
            if not answer:
                raise FailedError(self.label, f"the client ended with {client.wait(END_SECONDS)}")
            return float(answer)

        return turn

    def close(self) -> None:
        """Hang up."""
        for client in self._clients.values():
            if client.stdin is not None:
                client.stdin.close()
            try:
                client.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                client.kill()
                client.wait()
            if client.stdout is not None:
                client.stdout.close()

    def _client(self, rows: str) -> subprocess.Popen[str]:
        if rows not in self._clients:
            command = [str(self._python), str(Path(__file__).with_name("mcp_client.py")), rows]
            self._clients[rows] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        return self._clients[rows]
