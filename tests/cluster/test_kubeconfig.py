"""Kubeconfigs of every kind of user."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from labkit.cluster import kubeconfig
from labkit.errors import ClusterError, UsageError


def written(folder: Path, user: dict[str, Any], **cluster: Any) -> Path:
    path = folder / "kubeconfig"
    entry = {"server": "https://api.example:8443/k8s/c-1", **cluster}
    path.write_text(json.dumps({"clusters": [{"cluster": entry}], "users": [{"user": user}]}))  # JSON is YAML
    return path


def plugin(folder: Path, script: str) -> dict[str, Any]:
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"command": str(program), "args": ["get"], "env": [{"name": "WHO", "value": "learner"}]}}


def test_a_token_and_a_path(tmp_path: Path) -> None:
    access = kubeconfig.read(written(tmp_path, {"token": "abc"}))
    assert (access.host, access.port, access.path) == ("api.example", 8443, "/k8s/c-1")
    assert access.headers == {"Authorization": "Bearer abc"}
    assert access.expired is None


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    path = written(tmp_path, {"tokenFile": str(token)})
    for text in ("one", "two"):
        token.write_text(f"{text}\n")
        assert kubeconfig.read(path).headers == {"Authorization": f"Bearer {text}"}


def test_plain_http_has_no_certificates(tmp_path: Path) -> None:
    access = kubeconfig.read(written(tmp_path, {}, server="http://127.0.0.1"))
    assert (access.port, access.context) == (80, None)


def test_a_program_gives_credentials(tmp_path: Path) -> None:
    user = plugin(tmp_path, """echo "{\\"status\\": {\\"token\\": \\"$WHO-$1\\"}}" """)
    assert kubeconfig.read(written(tmp_path, user)).headers == {"Authorization": "Bearer learner-get"}


def test_a_program_that_gives_none(tmp_path: Path) -> None:
    user = plugin(tmp_path, "echo you are logged out >&2; exit 1")
    with pytest.raises(ClusterError, match="you are logged out"):
        kubeconfig.read(written(tmp_path, user))
    user["exec"] |= {"command": "no-such-program", "installHint": "apt install it"}
    with pytest.raises(ClusterError, match="What to do: apt install it"):
        kubeconfig.read(written(tmp_path, user))


@pytest.mark.parametrize("text", ["", "[1]", "clusters: []", "clusters: [{cluster: {}}]\nusers: [{user: {}}]", "\t"])
def test_what_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(UsageError, match="cannot be used"):
        kubeconfig.read(path)
