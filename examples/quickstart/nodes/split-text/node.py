"""Split a text into its lines."""

from __future__ import annotations

from nodeling import node


@node(version="1.0.0", effects="none")
def split_text(text: str) -> list[str]:
    """Split a text into its lines. A typed function: its hints are its schemas."""
    return [line.strip() for line in text.splitlines() if line.strip()]
