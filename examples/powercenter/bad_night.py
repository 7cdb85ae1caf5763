"""A night on which the file is missing, with a mail server of its own that prints what it is given."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading

MAILS: list[str] = []


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as one message needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            word = line.decode().strip().upper()
            if word == "DATA":
                self.wfile.write(b"354 go on\r\n")
                MAILS.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
            self.wfile.write(b"221 bye\r\n" if word == "QUIT" else b"250 ok\r\n")
            if word == "QUIT":
                return


def main() -> int:
    with socketserver.TCPServer(("127.0.0.1", 0), Mailbox) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = {
            "HOST": "127.0.0.1",
            "PORT": str(server.server_address[1]),
            "FROM": "etl@example.com",
            "SECURITY": "none",
        }
        env = {**os.environ, **{f"NODELING_SMTP_{key}": value for key, value in told.items()}}
        files = ["--bindings", "bindings.json", "--parameter-file", "broken.par"]
        command = [sys.executable, "-m", "nodeling_runtime", "run", "workflow.xml", *files]
        code = subprocess.run(command, env=env, check=False).returncode
        server.shutdown()
    for mail in MAILS:
        head, _, body = mail.replace("\r\n", "\n").partition("\n\n")
        print(
            *[line for line in head.splitlines() if line.startswith(("To:", "Subject:"))],
            body.strip(),
            sep="\n",
        )
    print(f"exit {code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
