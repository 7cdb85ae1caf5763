"""An echo tool in the official MCP SDK; run with the Python that has it."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer  # type: ignore[import-not-found, unused-ignore]

server = MCPServer("echo")


@server.tool()  # type: ignore[untyped-decorator, unused-ignore]
def echo(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives back the rows it is given."""
    return rows


if __name__ == "__main__":
    server.run("stdio")
