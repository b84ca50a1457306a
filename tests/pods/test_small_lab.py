"""A small lab of a learner's own: an image that labkit does not have, and a network that comes later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.cluster import network_addon
from labkit.cluster.state import LabFolder
from labkit.errors import UsageError
from labkit.lab import Lab
from labkit.progress import Progress
from tests import traces
from tests.pods.space import fetch

pytestmark = pytest.mark.cluster

CATALOGUE = """
[[image]]
name = "greeter"
about = "Says hello with the machine's own Perl"
repositories = ["docker.io/learner/greeter"]
programs = ["/usr/bin/perl"]
ports = [9000]
entrypoint = ["/usr/bin/perl", "-e"]
command = ['$| = 1; print "hello from a catalogue\\n"; sleep 1000']

[image.env]
GREETING = "on {node}"
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One node, no pod network, a catalogue with an image of the user's own."""
    file = tmp_path_factory.mktemp("images") / "images.toml"
    file.write_text(CATALOGUE)
    with labkit.up("own-images", workers=0, images=file, network=False, progress=Progress()) as running:
        file.unlink()  # the lab has its own copy
        yield running


def _ready(lab: Lab) -> list[str]:
    """Return the status, reason and message of the node's condition Ready."""
    condition = "{.items[0].status.conditions[?(@.type=='Ready')]['status','reason','message']}"
    return lab.kubectl(["get", "nodes", "-o", f"jsonpath={condition}"]).split(" ", 2)


def test_node_is_not_ready_until_the_network_is_applied(small: Lab) -> None:
    status, reason, message = _ready(small)
    assert (status, reason) == ("False", "KubeletNotReady")
    assert "NetworkPluginNotReady" in message
    small.kubectl("apply -f -", stdin=network_addon.manifest_for(small.cluster))
    traces.eventually(lambda: _ready(small)[0] == "True", 30)


def test_image_of_ones_own(small: Lab) -> None:
    small.kubectl("taint node master node-role.kubernetes.io/control-plane-")
    small.deploy("greeter", image="learner/greeter", progress=Progress())
    traces.eventually(lambda: small.kubectl("logs deployment/greeter") == "hello from a catalogue")
    assert small.kubectl("exec deployment/greeter -- printenv GREETING") == "on master"
    assert small.kubectl("get service greeter -o jsonpath={.spec.ports[0].port}") == "9000"


def test_images_of_labkits_own_are_there_too(small: Lab) -> None:
    small.deploy("standin", image="labkit/standin", progress=Progress())
    assert fetch(small.open("svc/standin")).startswith("pod standin-")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[image]\n", "cannot be read"),
        ("[settings]\n", "nothing but tables"),
        (CATALOGUE.replace("about", "abuot"), "unknown key 'abuot'"),
        (CATALOGUE.replace("[9000]", '"9000"'), "'ports' must be a list of numbers"),
    ],
)
def test_broken_catalogue_is_refused_before_anything_starts(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "images.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        labkit.up("broken-images", images=file, progress=Progress())
    assert complaint in str(caught.value)
    assert not LabFolder.of("broken-images").path.exists()


def test_catalogue_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read"):
        labkit.up("broken-images", images=tmp_path / "none.toml", progress=Progress())
