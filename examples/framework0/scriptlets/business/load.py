"""Settings and tables, and how good they are."""

import csv
import json
import pathlib
import time

from orchestrator.context import Context
from src.core.logger import get_logger

from scriptlets.framework import BaseScriptlet, register_scriptlet

logger = get_logger(__name__)
TYPES = {"int": int, "float": float}


@register_scriptlet
class Setup(BaseScriptlet):
    """Loads the settings and makes the folder of the output."""

    def run(self, context: Context, params: dict) -> dict:
        settings = json.loads(pathlib.Path(params["settings"]).read_text(encoding="utf-8"))
        pathlib.Path(settings["output"]["folder"]).mkdir(parents=True, exist_ok=True)
        context.set("config", settings, who=self.name)
        return {"sections": sorted(settings)}


@register_scriptlet
class LoadTable(BaseScriptlet):
    """Reads a table, gives its columns their types, and keeps the rows that are asked for."""

    def run(self, context: Context, params: dict) -> dict:
        began = time.perf_counter()
        with open(params["file"], newline="", encoding="utf-8") as file:
            read = [self._typed(row, params["types"]) for row in csv.DictReader(file)]
        rows = [row for row in read if self._is_kept(row, params.get("keep"))]
        seconds = time.perf_counter() - began
        speed = round(len(read) / seconds, 1)
        context.set(params["key"], rows, who=self.name)
        context.set(f"{params['key']}.records_per_second", speed, who=self.name)
        logger.info("%s: %d of %d rows, %.1f a second", params["key"], len(rows), len(read), speed)
        return {"read": len(read), "kept": len(rows), "records_per_second": speed}

    def _typed(self, row: dict, types: dict) -> dict:
        return {
            key: TYPES[types[key]](value) if key in types and value else value for key, value in row.items()
        }

    def _is_kept(self, row: dict, keep: dict | None) -> bool:
        if keep is None:
            return True
        value = row[keep["column"]]
        if "among" in keep:
            return value in keep["among"]
        return keep["from"] <= value <= keep["to"]


@register_scriptlet
class Validate(BaseScriptlet):
    """Counts the cells that hold something and the references that lead somewhere."""

    def run(self, context: Context, params: dict) -> dict:
        tables = {name: context.get(name) for name in params["tables"]}
        cells = [value for rows in tables.values() for row in rows for value in row.values()]
        good = sum(value not in ("", None) for value in cells)
        lost = self._lost(tables)
        checked = len(cells) + 2 * len(tables["sales"])
        quality = round((good + 2 * len(tables["sales"]) - len(lost)) / checked, 4) if checked else 0.0
        context.set("quality", {"score": quality, "lost_references": lost}, who=self.name)
        return {"quality": quality, "lost_references": lost}

    def _lost(self, tables: dict) -> list[str]:
        known = {
            "customer_id": {row["customer_id"] for row in tables["customers"]},
            "product_id": {row["product_id"] for row in tables["products"]},
        }
        return [
            f"{sale['sale_id']}: {column} {sale[column]}"
            for sale in tables["sales"]
            for column, values in known.items()
            if sale[column] not in values
        ]
