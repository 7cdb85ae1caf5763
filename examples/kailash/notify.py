"""One piece of news by four channels: e-mail over SMTP, and three gateways behind a local server."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager

from servers import serving

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.api import NotificationNode
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode


class Mailbox(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as it takes to get a letter."""

    def handle(self):
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            if line.upper().startswith("EHLO"):
                self.say("250 here")
            elif line.upper() == "DATA":
                self.say("354 go on")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(letter.decode())
                self.say("250 taken")
            elif line.upper() == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def mailbox():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.letters = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def main():
    with serving(lambda site, path, body: (200, {"taken": True})) as site, mailbox() as mail:
        workflow = Workflow("news")
        workflow.add_node("news", PythonCodeNode(name="news", code="result = f'{boat} is late'"))
        letter = NotificationNode(
            channel="email",
            smtp_host="127.0.0.1",
            smtp_port=mail.server_address[1],
            smtp_security="none",
            sender="harbour@example.com",
            recipient="crew@example.com",
            title="News",
        )
        workflow.add_node("email", letter)
        for channel in ("sms", "push", "webhook"):
            gateway = f"{site.url}/{channel}"
            workflow.add_node(channel, NotificationNode(channel=channel, url=gateway, recipient="crew"))
        for channel in ("email", "sms", "push", "webhook"):
            workflow.connect("news", channel, mapping={"result": "message"})
        LocalRuntime().execute(workflow, parameters={"boat": "Freya"})
        for path, said, _ in sorted(site.heard, key=lambda one: one[0]):
            print(path, said["text"], said["data"])
        print(
            [
                line
                for line in mail.letters[0].splitlines()
                if line.startswith(("Subject", "To")) or "late" in line
            ]
        )


if __name__ == "__main__":
    main()
