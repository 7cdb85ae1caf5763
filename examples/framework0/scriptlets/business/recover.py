"""What is done when a step has failed."""

import json
import pathlib
import urllib.request

from orchestrator.context import Context
from src.core.logger import get_logger

from scriptlets.framework import BaseScriptlet, register_scriptlet

logger = get_logger(__name__)


@register_scriptlet
class Recover(BaseScriptlet):
    """Logs, cleans up, tells somebody, and saves what the other branches found."""

    def run(self, context: Context, params: dict) -> dict:
        error = context.get("recipe.error")
        logger.error("step %s failed: %s", error["step"], error["message"])
        folder = pathlib.Path((context.get("config") or {}).get("output", {}).get("folder", "output"))
        removed = self._clean(folder)
        notified = self._notify(params["notify_url"], error)
        return {
            "failed": error["step"],
            "removed": removed,
            "notified": notified,
            **self._fall_back(context, folder),
        }

    def _clean(self, folder: pathlib.Path) -> list[str]:
        partial = sorted(folder.glob("*.partial"))
        for path in partial:
            path.unlink()
        return [path.name for path in partial]

    def _notify(self, url: str | None, error: dict) -> bool:
        if url is None:
            return False
        body = json.dumps({"step": error["step"], "message": error["message"]}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status == 200

    def _fall_back(self, context: Context, folder: pathlib.Path) -> dict:
        found = {key: context.get(key) for key in context.keys() if key.startswith("analysis.")}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "fallback_report.json"
        path.write_text(json.dumps(found, indent=2), encoding="utf-8")
        return {"fallback": str(path), "saved": sorted(found)}
