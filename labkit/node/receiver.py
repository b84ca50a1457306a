"""The program that receives trace spans for a lab, and keeps them as they came.

Arguments are a folder, and the address at which to listen for OTLP over gRPC (opentelemetry.io/docs/specs/otlp). Each
request is appended as a record, four bytes of length (little-endian) and the message, unread: reading is for those
who want to know. The files are ``spans-<number>.otlp``; the oldest are removed when they become too large together.
"""

from __future__ import annotations

import errno
import logging
import os
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

#: Exists while the receiver listens.
SERVES = "serves"
#: How the program ends where somebody else listens at its address.
TAKEN = errno.EADDRINUSE

_FILE_BYTES = 8 << 20  # small: whoever follows from now on reads the newest file only
_KEPT_BYTES = 128 << 20
_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_log = logging.getLogger("labkit.node.receiver")


class SpanFiles:
    """The files, of which the newest is written to.

    Each start of the receiver begins a new one, so that what a killed one left half-written stays the end of its file.

    Parameters
    ----------
    folder : Path
        Where they lie.
    limit : int
        Bytes of one file.
    kept : int
        Bytes of all older ones together.
    """

    def __init__(self, folder: Path, limit: int = _FILE_BYTES, kept: int = _KEPT_BYTES) -> None:
        self._folder = folder
        self._limit, self._kept = limit, kept
        self._descriptor = -1
        self._size = 0
        self._lock = threading.Lock()
        self._next_file()

    def append(self, record: bytes) -> None:
        """Write one record whole, or nothing of it.

        Raises
        ------
        OSError
            The disk is full.
        """
        data = struct.pack("<I", len(record)) + record
        with self._lock:
            if self._size and self._size + len(data) > self._limit:
                self._next_file()
            written = os.write(self._descriptor, data)
            if written < len(data):
                os.ftruncate(self._descriptor, self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += written

    def _next_file(self) -> None:
        present = sorted(self._folder.glob("spans-*.otlp"))
        number = int(present[-1].stem.removeprefix("spans-")) + 1 if present else 1
        # Never read here, only appended to by this process alone.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._folder / f"spans-{number:08}.otlp", flags, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._size = descriptor, 0
        older = sum(path.stat().st_size for path in present)
        for path in present:
            if older <= self._kept:
                break
            older -= path.stat().st_size
            path.unlink()


def serve(folder: Path, address: str) -> int:
    """Receive until killed; return an exit status where that cannot be."""

    def export(request: bytes, context: Any) -> bytes:
        try:
            files.append(request)
        except OSError as error:
            # The exporter keeps the spans and tries again for a minute (OTLP, "Throttling").
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return b""  # an ExportTraceServiceResponse without anything to say

    handler = grpc.method_handlers_generic_handler(_SERVICE, {"Export": grpc.unary_unary_rpc_method_handler(export)})
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handler,))
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        _log.error("cannot listen at %s: %s", address, error)
        return TAKEN
    files = SpanFiles(folder)  # requests come only after start()
    server.start()
    (folder / SERVES).touch(mode=0o600)
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    sys.exit(serve(Path(sys.argv[1]), sys.argv[2]))
