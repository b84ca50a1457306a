"""The program that serves a port of the host by a command for each connection, which is its input and output.

Arguments are the number of an inherited listening socket, and the command: ``docker exec --interactive NODE nc ...``.
It reaches what has no route from the host, on any system that Docker runs on.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading


def serve(listener: socket.socket, command: list[str]) -> None:
    """Serve until killed."""
    while True:
        connection, _ = listener.accept()
        with connection:
            process = subprocess.Popen(command, stdin=connection.fileno(), stdout=connection.fileno())
        threading.Thread(target=process.wait, daemon=True).start()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
