"""Who signed whom, and where static pods come from, drawn."""

from __future__ import annotations

from itertools import combinations

from labkit.views import certificates, static_pods, svg
from labkit.views.certificates import Item
from labkit.views.scene import Path, Rect, Scene
from tests.views.svgs import inside, overlap, shapes, texts, words


def _item(name: str, signer: str, *, expired: bool = False) -> Item:
    kind = "authority" if name.endswith("ca") else "client"
    return Item(
        name, signer, kind, f"<b>{name}</b>", "expired" if expired else "client · 9 days left", expired, "a use"
    )


ITEMS = (
    _item("ca", "ca"),
    _item("admin.conf", "ca"),
    _item("scheduler.conf", "ca", expired=True),
    _item("etcd-ca", "etcd-ca"),
    _item("etcd-server", "etcd-ca"),
    _item("stray", "nobody (not found)"),
    *(_item(f"kubelet-{number}-ca", f"kubelet-{number}-ca") for number in range(4)),
)
PODS = (
    static_pods.Item("etcd", "etcd.yaml", "pid 7, for 9 s", "etcd-master", "uid 1234", runs=True),
    static_pods.Item("kube-scheduler", "kube-scheduler.yaml", "no process", "no mirror", "", runs=False),
)


def _nothing_covers_anything(scene: Scene) -> None:
    boxes = list(shapes(scene, "component"))
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    said = [extent for _, extent in texts(scene)]
    assert not [pair for pair in combinations(said, 2) if overlap(*pair)]
    assert all(inside(extent, scene) for extent in [*boxes, *said, *shapes(scene, "reference")])


def test_an_authority_is_above_what_it_signed() -> None:
    scene = certificates.scene("lab", ITEMS)
    _nothing_covers_anything(scene)
    tops = {}
    for group in scene.groups:
        if name := group.data.get("name"):
            shape = group.shapes[0]
            tops[name] = shape.y if isinstance(shape, Rect) else shape.pieces[0][0][1] if isinstance(shape, Path) else 0
    assert len(tops) == len(ITEMS)
    assert tops["ca"] < tops["admin.conf"]
    assert tops["etcd-ca"] < tops["etcd-server"]
    assert len(list(shapes(scene, "reference"))) == 2 * 3, "an arrow, a line and a head, to each that another signed"


def test_what_has_expired_is_told_by_a_broken_line_and_in_words() -> None:
    scene = certificates.scene("lab", ITEMS)
    broken = [
        group.data["name"] for group in scene.groups if any(isinstance(s, Path) and s.dashed for s in group.shapes)
    ]
    assert broken == ["scheduler.conf"]
    drawn = svg.write(scene, "c")
    assert "scheduler.conf (&lt;b&gt;scheduler.conf&lt;/b&gt;), signed by ca: expired; a use." in drawn
    assert "ca (&lt;b&gt;ca&lt;/b&gt;), signed by itself" in drawn
    assert "<b>" not in drawn
    assert "expired" in words(drawn)


def test_a_static_pod_is_drawn_from_its_file_to_its_mirror() -> None:
    scene = static_pods.scene("master", PODS)
    _nothing_covers_anything(scene)
    drawn = svg.write(scene, "s")
    assert {"etcd.yaml", "kubelet", "pid 7, for 9 s", "etcd-master", "no process", "no mirror"} <= set(words(drawn))
    assert "kube-scheduler.yaml is read by the kubelet, which runs kube-scheduler (no process)" in drawn
