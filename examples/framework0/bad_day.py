"""A day on which a column has another name, with an endpoint of its own that prints what it is told."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

TOLD: list[dict[str, str]] = []


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        TOLD.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *ignored: object) -> None:
        """Nothing: the recipe's log is enough."""


def main() -> int:
    folder = Path("output")
    folder.mkdir(exist_ok=True)
    (folder / "left-over.partial").write_text("half a report", encoding="utf-8")
    settings = json.loads(Path("settings.json").read_text(encoding="utf-8"))
    rows = Path("data/customers.csv").read_text(encoding="utf-8").replace("region", "area", 1)
    (folder / "renamed.csv").write_text(rows, encoding="utf-8")
    settings["sources"]["customers"] = "output/renamed.csv"
    (folder / "bad.json").write_text(json.dumps(settings), encoding="utf-8")
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        given = ["-i", "settings=output/bad.json", "-i", f"notify_url={url}"]
        command = [sys.executable, "-m", "nodeling_runtime", "run", "business.yaml", "--json", "--quiet"]
        done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
        server.shutdown()
    result = json.loads(done.stdout)
    for name, step in result["steps"].items():
        print(f"{name:15} {step['status']}")
    print("told:", *TOLD)
    print("recovered:", json.dumps(result["outputs"]["recover"]))
    print("exit", done.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
