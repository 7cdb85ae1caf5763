"""Members, loans and fees lie in three databases; all are read at once, and joined by the member."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.data import SQLReaderNode
from nodeling_bridges.kailash.api.nodes.logic import MergeNode

TABLES = {
    "members": ("member INTEGER, name TEXT", [(1, "Ada"), (2, "Bo"), (3, "Cy")]),
    "loans": ("member INTEGER, book TEXT", [(1, "Emma"), (1, "Ulysses"), (3, "Dune")]),
    "fees": ("member INTEGER, owed INTEGER", [(1, 0), (3, 4)]),
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        workflow = Workflow("library")
        workflow.add_node("joined", MergeNode(merge_type="merge_dict", key="member"))
        for name, (columns, rows) in TABLES.items():
            with closing(sqlite3.connect(Path(folder) / f"{name}.db")) as database, database:
                database.execute(f"CREATE TABLE {name} ({columns})")
                database.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
            reader = SQLReaderNode(
                connection_string=f"sqlite:///{folder}/{name}.db",
                query=f"SELECT * FROM {name} WHERE member <= :last ORDER BY member",
                params={"last": 3},
            )
            workflow.add_node(name, reader)
            workflow.connect(name, "joined", mapping={"data": name})
        for row in LocalRuntime().execute(workflow)[0]["joined"]["merged_data"]:
            print(row)


if __name__ == "__main__":
    main()
