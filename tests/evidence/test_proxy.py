"""What was seen of kube-proxy is kept in a folder and read again, whatever happens to that folder."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkit.errors import EvidenceError
from labkit.evidence.proxy import keep, kept


def test_what_was_kept_is_read_in_order_of_time(tmp_path: Path) -> None:
    folder = tmp_path / "kube-proxy"
    assert kept(folder) == ()
    before = datetime.now(UTC)
    keep(folder, "switch", {"after": "nftables"})
    keep(folder, "packet", {"node": "node-01"})
    between = datetime.now(UTC)
    keep(folder, "packet", {"node": "node-02"})
    found = kept(folder)
    assert [(each.kind, each.body) for each in found] == [
        ("switch", {"after": "nftables"}),
        ("packet", {"node": "node-01"}),
        ("packet", {"node": "node-02"}),
    ]
    assert before <= found[0].time <= found[1].time <= between <= found[2].time
    assert kept(folder, between) == found[2:]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_seen_again_takes_the_place_of_the_old(tmp_path: Path) -> None:
    for text in ("old", "new"):
        keep(tmp_path, "rules", {"text": text}, name="iptables-master")
    keep(tmp_path, "rules", {"text": "other"}, name="iptables-node-01")
    assert [each.body["text"] for each in kept(tmp_path)] == ["new", "other"]
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_kept_is_said_and_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        keep(tmp_path / "gone" / "kube-proxy", "packet", {})
    assert "cannot be kept" in caplog.text
    assert not (tmp_path / "gone").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    keep(tmp_path, "packet", {})
    (tmp_path / "rules-x.json").write_text('{"kind": "rules"')
    with pytest.raises(EvidenceError, match=r"cannot be read") as raised:
        kept(tmp_path)
    assert "rules-x.json" in raised.value.why
