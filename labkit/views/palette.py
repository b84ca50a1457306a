"""The colours of actors, the same in every picture, told apart by people with any kind of colour vision.

Two sets of the same hues, for a light and for a dark page. An actor's colour has a contrast of at least 4.5 : 1 against
its page (WCAG 2.2, 1.4.3 and 1.4.11), and any two of a set stay apart when seen through a simulation of protanopia,
deuteranopia and tritanopia (Machado, Oliveira, Fernandes 2009); the tests measure both. Colour never tells alone:
whatever has one also has its name beside it.
"""

from __future__ import annotations

from labkit.flow import Actor

LIGHT = {
    "ink": "#1F2933",  # text, the API server
    "quiet": "#52606D",  # second text
    "faint": "#9AA5B1",  # what was, and what did nothing
    "line": "#CBD2D9",  # frames
    "ground": "#F5F7FA",  # inside of frames
    "paper": "#FFFFFF",
    "client": "#0072B5",
    "deployment": "#C2410C",
    "replicaset": "#A32D8E",
    "controller": "#6B737D",  # any other
    "scheduler": "#148355",
    "etcd": "#762933",
    "kubelet": "#796032",
    "runtime": "#672E95",
    "proxy": "#78791F",
}
DARK = {
    "ink": "#E4E7EB",
    "quiet": "#B0BAC5",
    "faint": "#66727F",
    "line": "#3B4754",
    "ground": "#1B232C",
    "paper": "#12181F",
    "client": "#4CBBFF",
    "deployment": "#CE6416",
    "replicaset": "#C75DBC",
    "controller": "#9FA6AD",
    "scheduler": "#02FAAC",
    "etcd": "#EF3A73",
    "kubelet": "#CFA366",
    "runtime": "#AA62F8",
    "proxy": "#EAE011",
}
ACTORS = (
    *("ink", "client", "deployment", "replicaset", "controller", "scheduler", "etcd", "kubelet", "runtime", "proxy"),
)
#: By the name of a component's program.
COMPONENTS = {
    "kube-apiserver": "ink",
    "etcd": "etcd",
    "kube-scheduler": "scheduler",
    "kube-controller-manager": "controller",
    "kubelet": "kubelet",
    "kube-proxy": "proxy",
    "container runtime": "runtime",
}

_BY_KIND = {
    "client": "client",
    "api server": "ink",
    "etcd": "etcd",
    "scheduler": "scheduler",
    "kubelet": "kubelet",
    "runtime": "runtime",
    "kube-proxy": "proxy",
}
_BY_ID = {"deployment-controller": "deployment", "replicaset-controller": "replicaset"}


def paint(actor: Actor) -> str:
    """Return the key of an actor's colour, in `LIGHT` and in `DARK`."""
    return _BY_ID.get(actor.id) or _BY_KIND.get(actor.kind, "controller")
