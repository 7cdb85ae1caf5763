"""What was found, in the formats that the settings ask for."""

import csv
import json
import pathlib

from orchestrator.context import Context

from scriptlets.framework import BaseScriptlet, register_scriptlet

TABLES = ("customers", "products", "sales")


@register_scriptlet
class Report(BaseScriptlet):
    """Writes the report."""

    def run(self, context: Context, params: dict) -> dict:
        folder, formats = pathlib.Path(params["folder"]), params["formats"]
        unknown = sorted(set(formats) - {"json", "csv", "console"})
        if unknown:
            raise ValueError(f"there is no format {unknown[0]!r}")
        analysis = {name: context.get(f"analysis.{name}") for name in TABLES}
        report = self._report(context, analysis)
        files = []
        if "json" in formats:
            speeds = {name: context.get(f"{name}.records_per_second") for name in TABLES}
            files.append(
                self._json(folder / "comprehensive_report.json", {**report, "records_per_second": speeds})
            )
            files.append(self._json(folder / "analytics_data.json", analysis))
        if "csv" in formats:
            files.append(self._csv(folder / "executive_summary.csv", report))
        if "console" in formats:
            for name, value in report.items():
                print(f"{name}: {value}")
        return {**report, "files": files}

    def _report(self, context: Context, analysis: dict) -> dict:
        sales, products = analysis["sales"] or {}, analysis["products"] or {}
        best = products.get("best")
        return {
            "sales_total": sales.get("total"),
            "average_order": sales.get("average_order"),
            "products_by_category": products.get("categories"),
            "best_product": best,
            "best_product_revenue": products["revenue"][best] if best else None,
            "quality": (context.get("quality") or {}).get("score"),
        }

    def _json(self, path: pathlib.Path, value: dict) -> str:
        return self._written(path, json.dumps(value, indent=2))

    def _csv(self, path: pathlib.Path, report: dict) -> str:
        partial = path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["figure", "value"])
            writer.writerows((name, value) for name, value in report.items() if not isinstance(value, dict))
        partial.rename(path)
        return str(path)

    def _written(self, path: pathlib.Path, text: str) -> str:
        partial = path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.rename(path)
        return str(path)
