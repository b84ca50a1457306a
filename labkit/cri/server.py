"""The gRPC server: the CRI's two services on a unix socket, errors as gRPC statuses, changes in the calls log."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from labkit.cri import api_pb2 as api
from labkit.cri.calls import CallsLog
from labkit.cri.config import Config
from labkit.cri.containers import Containers
from labkit.cri.errors import CriError
from labkit.cri.execution import Execution
from labkit.cri.image_service import ImageService
from labkit.cri.images import Catalogue
from labkit.cri.runtime_service import RuntimeService
from labkit.cri.sandboxes import Sandboxes
from labkit.cri.sessions import Sessions
from labkit.cri.store import ImageStore
from labkit.cri.streaming import StreamingServer
from labkit.cri.subjects import Subjects
from labkit.errors import LabkitError, UsageError

_log = logging.getLogger(__name__)
_CHANGES = re.compile("RunPod|Stop|Remove|Create|Start|Update(Pod|Container)|Reopen|Exec|Attach|PortForward|Pull")
_MESSAGE_LIMIT = 64 * 1024 * 1024  # an exec's output can be 2 x 16 MiB; kubelet accepts 16 MiB messages
_CODES: dict[type[LabkitError], str] = {UsageError: "INVALID_ARGUMENT"}  # of errors that are not the runtime's own

Method = Callable[[Any], Awaitable[Any]]


async def serve(config: Config) -> None:
    """Serve the CRI until SIGTERM or SIGINT; containers run on.

    Raises
    ------
    UsageError
        If the image catalogue cannot be used.
    """
    images = ImageStore(Catalogue(config.kubernetes_version, config.catalogue), config.state_dir)
    sandboxes, containers = Sandboxes(config), Containers(config)
    sandboxes.adopt()
    containers.adopt()
    execution = Execution(config, sandboxes, containers)
    streaming = StreamingServer(Sessions(execution, sandboxes, containers))
    calls, subjects = CallsLog(config.calls_log), Subjects(sandboxes, containers)
    services = {
        "RuntimeService": RuntimeService(sandboxes, containers, images, execution, streaming),
        "ImageService": ImageService(images, config.state_dir),
    }
    server = grpc.aio.server(options=[("grpc.max_send_message_length", _MESSAGE_LIMIT)])
    server.add_generic_rpc_handlers(
        tuple(_handler(name, service, calls, subjects) for name, service in services.items())
    )
    await streaming.start()
    config.socket.parent.mkdir(parents=True, exist_ok=True)
    config.socket.unlink(missing_ok=True)
    previous = os.umask(0o177)
    server.add_insecure_port(f"unix:{config.socket}")
    os.umask(previous)
    await server.start()
    _log.info("serving on %s", config.socket)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    await server.stop(grace=1)
    await streaming.close()
    calls.close()


def _handler(name: str, service: object, calls: CallsLog, subjects: Subjects) -> grpc.GenericRpcHandler:
    """Return one service's methods: each of the proto's, by the name that the service's class gives it."""
    descriptor = api.DESCRIPTOR.services_by_name[name]
    methods = {}
    for method in descriptor.methods:
        request: Any = getattr(api, method.input_type.name)
        response: Any = getattr(api, method.output_type.name)
        function: Method = getattr(service, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())
        methods[method.name] = grpc.unary_unary_rpc_method_handler(
            _answer(method.name, function, calls, subjects),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(descriptor.full_name, methods)


def _answer(
    name: str, function: Method, calls: CallsLog, subjects: Subjects
) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]:
    """Return a method that turns errors into gRPC statuses and, if it changes something, is logged."""
    logged = bool(_CHANGES.match(name))

    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        started, about = time.time_ns(), subjects.before(request) if logged else {}
        response, code, problem = None, "INTERNAL", ""
        try:
            response = await function(request)
        except LabkitError as error:
            code = error.code if isinstance(error, CriError) else _CODES.get(type(error), "UNKNOWN")
            problem = " ".join(filter(None, (f"{error.what}{':' if error.why else ''}", error.why, error.fix)))
        except Exception as error:
            _log.exception("%s failed", name)
            problem = f"{type(error).__name__}: {error}"
        if logged:
            calls.write(name, started, about | Subjects.after(response), problem)
        if problem:
            await context.abort(grpc.StatusCode[code], problem)
        return response

    return answer
