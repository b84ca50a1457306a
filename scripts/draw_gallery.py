"""Draw the pictures of docs/gallery.md from the recordings and sessions that come with labkit: `make gallery`.

Nothing runs and no network is asked. The same recordings give the same files, so that a test can draw them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import labkit
from labkit.checks import drills
from labkit.checks.outage import Outages
from labkit.lab.lessons import sessions
from labkit.lab.session import tape
from labkit.views import lanes, packet

FOLDER = Path(__file__).parents[1] / "docs/images/gallery"


def _session(notebook: str) -> labkit.Lab:
    return labkit.up(notebook, provider="replay")


def _shown(notebook: str, call: str) -> str:
    """Return the picture that a notebook showed of something."""
    (shown,) = tape.load(sessions()[notebook]).answer(f"{call}.shown")
    return re.findall(r"<svg.*?</svg>", shown["text/html"], re.DOTALL)[0] + "\n"


def _lanes() -> str:
    return lanes.to_svg(labkit.replay("expose-tomcat").flow("service/tomcat"))


def _update() -> str:
    return labkit.replay("update-tomcat").rollout("tomcat", action="update").to_svg()


def _drills() -> str:
    lab = _session("08_drills")
    components = ("kube-scheduler", "kube-controller-manager", "kubelet", "etcd", "kube-apiserver")
    return Outages([drills.drill(lab, each, None, service="shop") for each in components]).to_svg()


def _etcd() -> str:
    with _session("09_inside_etcd").etcd.watch("tomcat -events") as written:
        return written.to_svg()


#: By the names of their files.
PICTURES: dict[str, Callable[[], str]] = {
    "deploy": lambda: labkit.replay("deploy-tomcat").explain("tomcat").to_svg(),
    "expose-lanes": _lanes,
    "no-scheduler": lambda: labkit.replay("no-scheduler").explain("waiting").to_svg(),
    "update": _update,
    "components": lambda: _session("01_architecture").components().to_svg(),
    "anatomy": lambda: _session("02_pods").anatomy("blog").to_svg(),
    "owners": lambda: _session("05_controllers").owners().to_svg(),
    "proxy-modes": lambda: labkit.replay("kube-proxy-ipvs").proxy.compare_modes("web").to_svg(),
    "packet": lambda: packet.to_svg(labkit.replay("kube-proxy").proxy.packets[0]),
    "preparation": lambda: _session("07_birth").preflight("node-01").to_svg(),
    "init": lambda: _shown("07_birth", "init_steps()"),
    "certificates": lambda: _shown("07_birth_after", "certificates"),
    "restart": lambda: _session("07_birth_after").restart("master", away=4, service="shop").to_svg(),
    "drills": _drills,
    "etcd": _etcd,
}


def draw(name: str) -> str:
    """Return a picture as its file has it: its ids begin with its own name, in place of one drawn by lot."""
    picture = PICTURES[name]()
    prefix = re.findall(r'<svg [^>]*\bid="([^"]+)"', picture)[0]
    return picture.replace(prefix, f"labkit-{name}")


def main() -> None:
    """Draw all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        path = FOLDER / f"{name}.svg"
        path.write_text(draw(name), "utf-8")
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
