"""How nodes are told where this machine is; that they get there, tests/lab/test_ordinary_user.py shows."""

from __future__ import annotations

import ipaddress

from labkit.cluster import host_address
from labkit.node import forward


def test_where_docker_runs_here_the_gateway_is_this_machine() -> None:
    found = host_address.find(ipaddress.IPv4Address("127.0.0.1"))
    assert found.listen == found.endpoint == "127.0.0.1:4317"
    assert not found.named


def test_where_it_does_not_the_receiver_is_on_the_loopback_and_called_by_its_name() -> None:
    found = host_address.find(ipaddress.IPv4Address("192.0.2.1"))  # RFC 5737: nobody's
    address, _, port = found.listen.rpartition(":")
    assert address == "127.0.0.1"
    assert found.endpoint == f"host.docker.internal:{port}"
    assert found.named
    with forward.listen(int(port)):  # it can be had
        assert host_address.find(ipaddress.IPv4Address("192.0.2.1")) != found
