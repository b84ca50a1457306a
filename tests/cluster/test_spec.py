from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkit.cluster.spec import LabSpec, default_node_names
from labkit.errors import UsageError


def test_the_textbooks_values_are_the_defaults() -> None:
    spec = LabSpec()
    assert (spec.service_cidr, spec.pod_cidr) == ("10.96.0.0/16", "192.168.0.0/16")
    assert spec.node_names == ("master", "node-01", "node-02")


def test_a_spec_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    spec = LabSpec(name="class-3", node_names=("m", "a"), network=False, pod_cidr="10.10.0.0/16")
    spec.save(tmp_path / "lab.json")
    assert LabSpec.load(tmp_path / "lab.json") == spec


def test_a_spec_of_before_there_were_small_labs_is_of_an_ordinary_one(tmp_path: Path) -> None:
    LabSpec().save(tmp_path / "lab.json")
    values = json.loads((tmp_path / "lab.json").read_text())
    del values["small"]
    (tmp_path / "lab.json").write_text(json.dumps(values))
    assert not LabSpec.load(tmp_path / "lab.json").small


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"service_cidr": "192.168.5.0/24"}, "service range 192.168.5.0/24 and the pod range 192.168.0.0/16 overlap"),
        ({"pod_cidr": "10.96.0.0/12"}, "overlap"),
        ({"pod_cidr": "172.30.0.0/16"}, "nodes' own range 172.30.0.0/24 overlap"),
        ({"service_cidr": "10.96.0.0"}, "size"),
        ({"service_cidr": "10.96.0.1/16"}, "host bits"),
        ({"service_cidr": "ten"}, "'ten' is no service range"),
        ({"service_cidr": "10.0.0.0/8"}, "size that cannot be used"),
        ({"pod_cidr": "192.168.0.0/23"}, "too small for 3 nodes"),
        ({"pod_cidr": "192.168.0.0/25"}, "too small"),
        ({"kubernetes_version": "v1.99.0"}, "v1.99.0"),
        ({"kubernetes_version": ""}, "pinned"),
        ({"advertise_address": "10.0.0.1"}, "cannot advertise"),
        ({"image_repository": "https://x"}, "no image repository"),
        ({"token_ttl": "a day"}, "no life time"),
        ({"name": "Lab_1"}, "'Lab_1' is no name"),
        ({"name": "../x"}, "no name"),
        ({"name": ""}, "no name"),
        ({"node_names": ("master", "-x")}, "'-x' is no name"),
        ({"node_names": ("a", "a")}, "same name"),
    ],
)
def test_what_cannot_work_is_refused_by_name(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        LabSpec(**values)
    assert told in str(caught.value)
    assert caught.value.fix, "an error says what to do"


@pytest.mark.parametrize("workers", [-1, 51])
def test_a_number_of_workers_that_cannot_be_is_refused(workers: int) -> None:
    with pytest.raises(UsageError, match=str(workers)):
        default_node_names(workers)


def test_nodes_are_named_as_in_the_textbook() -> None:
    assert default_node_names(2) == ("master", "node-01", "node-02")
    assert default_node_names(0) == ("master",)
