"""Nodes that read and write."""

from __future__ import annotations

from nodeling_bridges.kailash.api.nodes.base import BuiltinNode

__all__ = [
    "CSVReaderNode",
    "CSVWriterNode",
    "DirectoryReaderNode",
    "FileProcessorNode",
    "JSONReaderNode",
    "JSONWriterNode",
    "SQLDatabaseNode",
    "SQLReaderNode",
]


class CSVReaderNode(BuiltinNode):
    """Reads a CSV file."""


class CSVWriterNode(BuiltinNode):
    """Writes a CSV file."""


class JSONReaderNode(BuiltinNode):
    """Reads a JSON file."""


class JSONWriterNode(BuiltinNode):
    """Writes a JSON file."""


class DirectoryReaderNode(BuiltinNode):
    """Finds the files of a folder."""


class FileProcessorNode(BuiltinNode):
    """Does one thing with each of several files, in a process of its own."""


class SQLReaderNode(BuiltinNode):
    """Reads rows of a database, and can change none."""


class SQLDatabaseNode(BuiltinNode):
    """Runs a statement on a database."""
