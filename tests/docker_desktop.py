"""A place for a Docker daemon that is to its users what Docker Desktop's virtual machine is.

It is a network namespace: from outside no address of a container is reachable, and no bridge of Docker's to be seen.
What leads across is what Docker Desktop has (docs.docker.com/desktop/features/networking): the ports that containers
publish are open on the outside's 127.0.0.1, by a proxy of the daemon's for each (dockerd, --userland-proxy-path); and
the name host.docker.internal, which the place's name server knows, leads to what listens at the outside's 127.0.0.1.
The daemon is spoken to by its unix socket, and folders of the outside can be mounted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.node.forwarder import copy
from labkit.node.netns import join

#: Addresses as Docker Desktop has them: its name server's, and the one that stands for the machine outside.
DNS, OUTSIDE = "192.168.65.7", "192.168.65.254"
NAME = b"\4host\6docker\10internal\0"  # RFC 1035, 3.1
_READY = "ready"
_STATUS = 3  # the descriptor at which dockerd waits for its proxy's word: "0\n", or "1\n" and a message


@contextmanager
def machine(folder: Path) -> Iterator[list[str]]:
    """Make the place; give the words before a command line that is to run in it.

    Parameters
    ----------
    folder : Path
        For the proxy's program, which is to be `proxy`.
    """
    resolver = folder / "resolv.conf"
    resolver.write_text(f"nameserver {DNS}\n")
    outside = f"/proc/{os.getpid()}/ns/net"
    program = f"{sys.executable} -I {__file__}"
    proxy(folder).write_text(f'#!/bin/sh\nexec {program} publish {outside} "$@"\n')
    proxy(folder).chmod(0o700)
    inside = ["unshare", "--net", "--mount", sys.executable, "-I", __file__, "serve", outside, str(resolver)]
    with subprocess.Popen(inside, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == _READY
            yield ["nsenter", f"--net=/proc/{process.pid}/ns/net", f"--mount=/proc/{process.pid}/ns/mnt", "--"]
        finally:
            process.kill()


def proxy(folder: Path) -> Path:
    """Return the program that dockerd is to start for each port that a container publishes."""
    return folder / "proxy"


def _publish(outside: str, arguments: list[str]) -> None:
    """Serve a port of the outside's, connecting inside: dockerd starts it as its own docker-proxy."""
    parser = argparse.ArgumentParser()
    for option in ("-proto", "-host-ip", "-host-port", "-container-ip", "-container-port"):
        parser.add_argument(option)
    asked = parser.parse_args(arguments)
    try:
        listener = _socket_of(Path(outside))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((asked.host_ip, int(asked.host_port)))
        listener.listen(128)
    except OSError as error:
        os.write(_STATUS, f"1\n{error}".encode())
        sys.exit(1)
    os.set_inheritable(listener.fileno(), True)
    os.write(_STATUS, b"0\n")
    forwarder = ["-I", "-m", "labkit.node.forwarder", str(listener.fileno()), asked.container_ip, asked.container_port]
    os.execv(sys.executable, [sys.executable, *forwarder, ""])  # noqa: S606


def _socket_of(namespace: Path) -> socket.socket:
    """Return a socket of another network namespace: it stays in the one in which it was made."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    join(namespace)
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    finally:
        join(Path(f"/proc/self/fd/{home}"))
        os.close(home)


async def _serve(outside: Path) -> None:
    """Answer for the name server, and carry what is sent to the outside's address."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(_NameServer, local_addr=(DNS, 53))

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, 80, 16)  # SO_ORIGINAL_DST
        connection = _socket_of(outside)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, ("127.0.0.1", struct.unpack_from("!xxH", taken)[0]))
        except OSError:
            connection.close()
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(sock=connection)
        await asyncio.gather(copy(reader, back), copy(there, writer))
        back.close()
        writer.close()

    server = await asyncio.start_server(carry, "0.0.0.0", 0)  # noqa: S104 - of the place's own network
    port = server.sockets[0].getsockname()[1]
    rule = ["PREROUTING", "-d", OUTSIDE, "-p", "tcp", "-j", "REDIRECT", "--to-ports", str(port)]
    subprocess.run(["iptables", "-t", "nat", "-A", *rule], check=True)
    print(_READY, flush=True)
    await server.serve_forever()


class _NameServer(asyncio.DatagramProtocol):
    """Knows one name, and one address of it (RFC 1035, 4.1)."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        end = data.index(0, 12) + 5  # the name, type and class of the one question
        question, kind = data[12:end], data[end - 4 : end - 2]
        known = question[:-4].lower() == NAME
        record = b"\xc0\x0c" + question[-4:] + struct.pack("!IH", 60, 4) + socket.inet_aton(OUTSIDE)
        answers = [record] if known and kind == b"\0\1" else []  # it has no address of IPv6
        flags = 0x8580 if known else 0x8583  # no such name
        head = data[:2] + struct.pack("!5H", flags, 1, len(answers), 0, 0)
        self._transport.sendto(head + question + b"".join(answers), addr)


def _set_up(resolver: str) -> None:
    script = f"""
set -e
mount --bind {resolver} "$(readlink -f /etc/resolv.conf)"
ip link set lo up
ip address add {DNS}/32 dev lo
ip address add {OUTSIDE}/32 dev lo
"""
    subprocess.run(["sh", "-c", script], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        _publish(sys.argv[2], sys.argv[3:])
    else:
        _set_up(sys.argv[3])
        asyncio.run(_serve(Path(sys.argv[2])))
