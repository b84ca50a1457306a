"""The image service as kubelet uses it, and what the runtime says about itself."""

import grpc
import pytest

from labkit.cri import api_pb2 as api
from tests.cri.conftest import Node

pytestmark = pytest.mark.programs


def spec(image: str) -> api.ImageSpec:
    return api.ImageSpec(image=image)


def test_an_image_is_there_only_after_it_was_pulled(own_node: Node) -> None:
    client = own_node.client
    assert not client.ImageStatus(image=spec("busybox:latest")).HasField("image")
    reference = client.PullImage(image=spec("busybox:latest")).image_ref
    image = client.ImageStatus(image=spec("busybox")).image
    assert image.id == reference
    assert list(image.repo_tags) == ["docker.io/library/busybox:latest"]
    assert list(image.repo_digests) == [f"docker.io/library/busybox@{reference}"]
    assert image.size > 100_000
    assert [each.id for each in client.ListImages().images] == [reference]
    assert client.ImageStatus(image=spec(reference)).image.id == reference
    assert client.ImageStatus(image=spec(image.repo_digests[0])).image.id == reference
    assert not client.ImageStatus(image=spec(f"docker.io/library/tomcat@{reference}")).HasField("image")
    assert not client.ImageStatus(image=spec("No Such")).HasField("image")
    client.RemoveImage(image=spec(reference))
    client.RemoveImage(image=spec(reference))
    assert not client.ImageStatus(image=spec("busybox")).HasField("image")
    assert len(client.ListImages().images) == 0


def test_an_unknown_image_is_refused_with_the_catalogue(node: Node) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        node.client.PullImage(image=spec("no/such:1"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    for word in ("docker.io/no/such:1", "tomcat", "busybox", "kube-apiserver:v1.34.3"):
        assert word in caught.value.details()


def test_a_name_that_is_no_reference_is_refused(node: Node) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        node.client.PullImage(image=spec("No Such"))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_missing_program_says_where_it_comes_from(node: Node) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        node.client.PullImage(image=spec("registry.k8s.io/kube-scheduler:v1.34.3"))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "/opt/labkit/bin/kube-scheduler" in caught.value.details()
    assert "labkit components fetch" in caught.value.details()


def test_a_container_needs_a_pulled_image(node: Node) -> None:
    pod = node.pod()
    config = api.ContainerConfig(metadata=api.ContainerMetadata(name="x"), image=spec("nginx:never"))
    with pytest.raises(grpc.RpcError) as caught:
        node.client.CreateContainer(pod_sandbox_id=pod.id, config=config)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    pod.remove()


def test_the_file_systems_use_is_real(node: Node) -> None:
    node.client.PullImage(image=spec("busybox"))
    info = node.client.ImageFsInfo()
    (images,), (containers,) = info.image_filesystems, info.container_filesystems
    assert images.fs_id.mountpoint == "/var/lib/labkit"
    assert images.used_bytes.value > 100_000
    pod = node.pod()
    pod.shell("head -c 5000000 /dev/zero >/file").wait()
    assert node.client.ImageFsInfo().container_filesystems[0].used_bytes.value > containers.used_bytes.value + 4_000_000
    pod.remove()


def test_the_runtime_says_who_it_is(node: Node) -> None:
    version = node.client.Version()
    assert (version.runtime_name, version.runtime_api_version) == ("labkit", "v1")
    assert node.client.RuntimeConfig().linux.cgroup_driver == api.CGROUPFS
    node.client.UpdateRuntimeConfig()


def test_statistics_are_those_of_the_processes(node: Node) -> None:
    pod = node.pod(network=api.POD)
    burner = pod.shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 60", name="burner")
    idle = pod.run(command=["sleep", "60"], name="idle")
    from tests.cri.conftest import eventually

    def usage(identifier: str) -> api.ContainerStats:
        stats = node.client.ContainerStats(container_id=identifier).stats
        assert isinstance(stats, api.ContainerStats)
        return stats

    eventually(lambda: usage(burner.id).cpu.usage_core_nano_seconds.value >= 50_000_000)
    assert usage(idle.id).cpu.usage_core_nano_seconds.value < 50_000_000
    assert usage(idle.id).memory.working_set_bytes.value > 10_000
    assert usage(idle.id).attributes.metadata.name == "idle"
    listed = node.client.ListContainerStats(filter=api.ContainerStatsFilter(pod_sandbox_id=pod.id)).stats
    assert {each.attributes.metadata.name for each in listed} == {"burner", "idle"}
    whole = node.client.PodSandboxStats(pod_sandbox_id=pod.id).stats.linux
    assert whole.cpu.usage_core_nano_seconds.value >= 50_000_000
    assert whole.process.process_count.value >= 4
    assert whole.network.default_interface.name == "eth0"
    pods = node.client.ListPodSandboxStats(filter=api.PodSandboxStatsFilter(id=pod.id)).stats
    assert [each.attributes.metadata.name for each in pods] == [pod.name]
    pod.remove()
