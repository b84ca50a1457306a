"""A streaming client that runs inside a node: writes what it gets as JSON. Arguments: URL, input, seconds to wait."""

from __future__ import annotations

import json
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

RESIZE = 4


def main() -> None:
    """Connect, send the input as channel 0, collect what comes on the others."""
    url, text, size = sys.argv[1:4]
    channels: dict[int, bytes] = {}
    with connect(
        url.replace("http:", "ws:"), subprotocols=[Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")]
    ) as socket:
        if size:
            socket.send(bytes([RESIZE]) + size.encode())
        if text:
            socket.send(b"\0" + text.encode())
        try:
            while True:
                message = socket.recv(timeout=20)
                data = message.encode() if isinstance(message, str) else message
                channels[data[0]] = channels.get(data[0], b"") + data[1:]
        except ConnectionClosed:
            pass
    print(json.dumps({number: data.decode(errors="replace") for number, data in channels.items()}))


if __name__ == "__main__":
    main()
