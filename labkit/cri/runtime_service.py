"""The CRI's RuntimeService: each method is one call, named as the CRI names it, in snake case.

Source: ``k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`` v0.34.3 for what each call promises; above all, that stopping
and removing what is already stopped or gone succeeds.
"""

from __future__ import annotations

import importlib.metadata
import time

from labkit.cri import api_pb2 as api
from labkit.cri import messages, stats
from labkit.cri.containers import Container, Containers
from labkit.cri.errors import ArgumentError, NotFoundError, StateError
from labkit.cri.execution import Execution
from labkit.cri.sandboxes import Sandbox, Sandboxes
from labkit.cri.store import ImageStore
from labkit.cri.streaming import StreamingServer

NAME = "labkit"


class RuntimeService:
    """Answers kubelet's calls about pods and containers.

    Parameters
    ----------
    sandboxes, containers
        What exists on the node.
    images : ImageStore
        What has been pulled.
    execution : Execution
        Runs processes in containers.
    streaming : StreamingServer
        Where exec, attach and port-forward are served.
    """

    def __init__(
        self,
        sandboxes: Sandboxes,
        containers: Containers,
        images: ImageStore,
        execution: Execution,
        streaming: StreamingServer,
    ) -> None:
        self._sandboxes = sandboxes
        self._containers = containers
        self._images = images
        self._execution = execution
        self._streaming = streaming

    async def version(self, _request: api.VersionRequest) -> api.VersionResponse:
        """Say who serves, and that it is CRI v1."""
        version = importlib.metadata.version("labkit")
        return api.VersionResponse(
            version="0.1.0", runtime_name=NAME, runtime_version=version, runtime_api_version="v1"
        )

    async def status(self, _request: api.StatusRequest) -> api.StatusResponse:
        """Say whether containers can run, and whether pods can have a network."""
        runtime = api.RuntimeCondition(type="RuntimeReady", status=True)
        network = api.RuntimeCondition(type="NetworkReady", status=True)
        try:
            self._sandboxes.network()
        except StateError as error:
            network.status, network.reason = False, "NetworkPluginNotReady"
            network.message = f"{error.what}: {error.why}"
        handlers = [api.RuntimeHandler(name="")]
        return api.StatusResponse(status=api.RuntimeStatus(conditions=[runtime, network]), runtime_handlers=handlers)

    async def runtime_config(self, _request: api.RuntimeConfigRequest) -> api.RuntimeConfigResponse:
        """Name the cgroup driver; there are no cgroups here, and cgroupfs is the name that asks for nothing."""
        return api.RuntimeConfigResponse(linux=api.LinuxRuntimeConfiguration(cgroup_driver=api.CGROUPFS))

    async def update_runtime_config(self, _request: api.UpdateRuntimeConfigRequest) -> api.UpdateRuntimeConfigResponse:
        """Accept the node's pod range: the network's own configuration has it already."""
        return api.UpdateRuntimeConfigResponse()

    async def run_pod_sandbox(self, request: api.RunPodSandboxRequest) -> api.RunPodSandboxResponse:
        """Make a pod's sandbox."""
        if request.runtime_handler:
            raise ArgumentError(f"There is no runtime handler {request.runtime_handler!r}")
        sandbox = await self._sandboxes.run(request.config)
        return api.RunPodSandboxResponse(pod_sandbox_id=sandbox.id)

    async def stop_pod_sandbox(self, request: api.StopPodSandboxRequest) -> api.StopPodSandboxResponse:
        """End all in a pod and free its address."""
        if sandbox := self._sandboxes.find(request.pod_sandbox_id):
            for container in self._containers.of(sandbox):
                await self._containers.stop(container, 0)
            await self._sandboxes.stop(sandbox)
        return api.StopPodSandboxResponse()

    async def remove_pod_sandbox(self, request: api.RemovePodSandboxRequest) -> api.RemovePodSandboxResponse:
        """Forget a pod with its containers."""
        if sandbox := self._sandboxes.find(request.pod_sandbox_id):
            for container in self._containers.of(sandbox):
                await self._containers.remove(container)
            await self._sandboxes.stop(sandbox)
            self._sandboxes.remove(sandbox)
        return api.RemovePodSandboxResponse()

    async def pod_sandbox_status(self, request: api.PodSandboxStatusRequest) -> api.PodSandboxStatusResponse:
        """Say all about a sandbox."""
        sandbox = self._sandboxes.get(request.pod_sandbox_id)
        return api.PodSandboxStatusResponse(
            status=messages.sandbox_status(sandbox),
            containers_statuses=[messages.container_status(each) for each in self._containers.of(sandbox)],
            timestamp=time.time_ns(),
        )

    async def list_pod_sandbox(self, request: api.ListPodSandboxRequest) -> api.ListPodSandboxResponse:
        """List the sandboxes that a filter lets through."""
        wanted = request.filter
        return api.ListPodSandboxResponse(
            items=[
                messages.sandbox_item(sandbox)
                for sandbox in self._sandboxes.all()
                if (not wanted.id or wanted.id == sandbox.id)
                and (not wanted.HasField("state") or wanted.state.state == messages.sandbox_state(sandbox))
                and messages.selected(wanted.label_selector, sandbox.config.labels)
            ]
        )

    async def update_pod_sandbox_resources(
        self, request: api.UpdatePodSandboxResourcesRequest
    ) -> api.UpdatePodSandboxResourcesResponse:
        """Accept new limits; without cgroups none is enforced."""
        self._sandboxes.get(request.pod_sandbox_id)
        return api.UpdatePodSandboxResourcesResponse()

    async def create_container(self, request: api.CreateContainerRequest) -> api.CreateContainerResponse:
        """Make a container that is ready to start."""
        sandbox = self._sandboxes.get(request.pod_sandbox_id)
        found = self._images.find(request.config.image.image)
        if not found:
            raise NotFoundError(f"image {request.config.image.image} has not been pulled")
        image, references = found
        container = self._containers.create(sandbox, request.config, image, references[0])
        return api.CreateContainerResponse(container_id=container.id)

    async def start_container(self, request: api.StartContainerRequest) -> api.StartContainerResponse:
        """Run a created container."""
        container = self._containers.get(request.container_id)
        await self._containers.start(container, self._sandboxes.get(container.record.sandbox_id))
        return api.StartContainerResponse()

    async def stop_container(self, request: api.StopContainerRequest) -> api.StopContainerResponse:
        """Ask a container to end; end it after the grace period."""
        if container := self._containers.find(request.container_id):
            await self._containers.stop(container, request.timeout)
        return api.StopContainerResponse()

    async def remove_container(self, request: api.RemoveContainerRequest) -> api.RemoveContainerResponse:
        """Forget a container with its files."""
        if container := self._containers.find(request.container_id):
            await self._containers.remove(container)
        return api.RemoveContainerResponse()

    async def container_status(self, request: api.ContainerStatusRequest) -> api.ContainerStatusResponse:
        """Say all about a container."""
        container = self._containers.get(request.container_id)
        return api.ContainerStatusResponse(status=messages.container_status(container))

    async def list_containers(self, request: api.ListContainersRequest) -> api.ListContainersResponse:
        """List the containers that a filter lets through."""
        wanted = request.filter
        return api.ListContainersResponse(
            containers=[
                messages.container_item(container)
                for container in self._matching(wanted)
                if not wanted.HasField("state") or wanted.state.state == container.record.state
            ]
        )

    async def update_container_resources(
        self, request: api.UpdateContainerResourcesRequest
    ) -> api.UpdateContainerResourcesResponse:
        """Remember new limits; without cgroups none is enforced."""
        self._containers.get(request.container_id).config.linux.resources.CopyFrom(request.linux)
        return api.UpdateContainerResourcesResponse()

    async def reopen_container_log(self, request: api.ReopenContainerLogRequest) -> api.ReopenContainerLogResponse:
        """Open a running container's log file anew, after kubelet has moved the old one away."""
        container = self._containers.get(request.container_id)
        container.program()
        if container.pump:
            container.pump.reopen()
        return api.ReopenContainerLogResponse()

    async def exec_sync(self, request: api.ExecSyncRequest) -> api.ExecSyncResponse:
        """Run a process in a container to its end."""
        code, out, err = await self._execution.run(request.container_id, list(request.cmd), request.timeout)
        return api.ExecSyncResponse(stdout=out, stderr=err, exit_code=code)

    async def exec(self, request: api.ExecRequest) -> api.ExecResponse:
        """Say where a client can run a process in a container."""
        self._containers.get(request.container_id).program()
        url = self._streaming.exec_url(
            request.container_id,
            list(request.cmd),
            tty=request.tty,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
        )
        return api.ExecResponse(url=url)

    async def attach(self, request: api.AttachRequest) -> api.AttachResponse:
        """Say where a client can join a container's streams."""
        self._containers.get(request.container_id).program()
        url = self._streaming.attach_url(
            request.container_id,
            tty=request.tty,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
        )
        return api.AttachResponse(url=url)

    async def port_forward(self, request: api.PortForwardRequest) -> api.PortForwardResponse:
        """Say where a client can reach a pod's ports."""
        self._ready(self._sandboxes.get(request.pod_sandbox_id))
        return api.PortForwardResponse(url=self._streaming.port_forward_url(request.pod_sandbox_id, list(request.port)))

    async def container_stats(self, request: api.ContainerStatsRequest) -> api.ContainerStatsResponse:
        """Say what a container uses."""
        container = self._containers.get(request.container_id)
        return api.ContainerStatsResponse(stats=messages.container_stats(container, stats.usage()))

    async def list_container_stats(self, request: api.ListContainerStatsRequest) -> api.ListContainerStatsResponse:
        """Say what the running containers use that a filter lets through."""
        usage = stats.usage()
        running = [container for container in self._matching(request.filter) if container.running]
        return api.ListContainerStatsResponse(stats=[messages.container_stats(each, usage) for each in running])

    async def pod_sandbox_stats(self, request: api.PodSandboxStatsRequest) -> api.PodSandboxStatsResponse:
        """Say what a pod uses."""
        sandbox = self._sandboxes.get(request.pod_sandbox_id)
        containers = self._containers.of(sandbox)
        return api.PodSandboxStatsResponse(stats=messages.sandbox_stats(sandbox, containers, stats.usage()))

    async def list_pod_sandbox_stats(self, request: api.ListPodSandboxStatsRequest) -> api.ListPodSandboxStatsResponse:
        """Say what the ready pods use that a filter lets through."""
        usage, wanted = stats.usage(), request.filter
        return api.ListPodSandboxStatsResponse(
            stats=[
                messages.sandbox_stats(sandbox, self._containers.of(sandbox), usage)
                for sandbox in self._sandboxes.all()
                if sandbox.ready
                and (not wanted.id or wanted.id == sandbox.id)
                and messages.selected(wanted.label_selector, sandbox.config.labels)
            ]
        )

    def _matching(self, wanted: api.ContainerFilter | api.ContainerStatsFilter) -> list[Container]:
        return [
            container
            for container in self._containers.all()
            if (not wanted.id or wanted.id == container.id)
            and (not wanted.pod_sandbox_id or wanted.pod_sandbox_id == container.record.sandbox_id)
            and messages.selected(wanted.label_selector, container.config.labels)
        ]

    @staticmethod
    def _ready(sandbox: Sandbox) -> None:
        if not sandbox.ready:
            raise StateError(f"The sandbox of pod {sandbox.config.metadata.name} is not ready")
