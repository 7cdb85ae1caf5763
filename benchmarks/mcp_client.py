"""Calls a tool of an MCP server over stdio as often as stdin says; run with the Python that has the SDK.

One line in, `COUNT AT_ONCE`; one line out, the microseconds that one call took on the whole.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters  # type: ignore[import-not-found, unused-ignore]
from mcp.client.stdio import stdio_client  # type: ignore[import-not-found, unused-ignore]


async def main(rows: Any) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=[str(Path(__file__).with_name("mcp_server.py"))]
    )
    async with stdio_client(server) as (reader, writer), ClientSession(reader, writer) as session:
        await session.initialize()
        await session.list_tools()
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            count, at_once = map(int, line.split())
            print(await measured(session, rows, count, at_once), flush=True)


async def measured(session: ClientSession, rows: Any, count: int, at_once: int) -> float:
    numbers = iter(range(count))

    async def slot() -> None:
        for _ in numbers:
            result = await session.call_tool("echo", {"rows": rows})
            if result.is_error:
                raise RuntimeError(result)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(slot())
    return (time.perf_counter() - began) / count * 1e6


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
