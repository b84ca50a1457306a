"""The lesson kube-proxy-ipvs, as the program of the virtual machine: one Service in each of kube-proxy's modes.

A whole kubeadm cluster of three nodes, made with ``--privileged``; its recording is ``/vm/kube-proxy-ipvs.labtrace``.
An emulated processor is twenty times slower than a real one, and an API server whose own start takes more than some
minutes ends. So it and etcd come first here, and memory, which there is enough of, is collected less often.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import yaml

import labkit
from labkit.cluster import bootstrap, kubeadm
from labkit.cluster.documents import dump_all
from labkit.evidence.recording import SUFFIX
from labkit.lab import Lab
from labkit.node import process
from labkit.progress import PhaseEvent, Progress

NAME = "kube-proxy-ipvs"
_FILE = Path("/vm") / f"{NAME}{SUFFIX}"
_TITLE = "A Service in kube-proxy's three modes, ipvs too, in a virtual machine"
_SECONDS = 240.0  # for what takes a minute at most on a machine that is not emulated
_INIT_MINUTES = 20  # for the control plane, which takes ten where others use the machine, too
_RARELY = {"GOGC": "400"}  # four times as much memory as is in use, before it is collected
_FIRST = {"kube-apiserver", "etcd"}
_NICE = -15
_initialised = threading.Event()
_BEFORE = (
    "create deployment web --image=nginx --replicas=3",
    f"rollout status deployment/web --timeout={_SECONDS:.0f}s",
)
_EXPOSE = "expose deployment web --port=80 --type=NodePort"
_MODES = ("nftables", "ipvs", "iptables")


def _say(event: PhaseEvent) -> None:
    if event.phase == "kubeadm init" and event.state == "finished":
        _initialised.set()
    if event.state in {"finished", "failed"}:
        print(f"{event.phase}: {event.state} after {event.seconds:.1f} s {event.detail}", flush=True)


def _wait_until_right(lab: Lab) -> None:
    """Wait until the rules are what the API says."""
    deadline = time.monotonic() + _SECONDS
    while not (found := lab.proxy.check()).agrees:
        if time.monotonic() > deadline:
            sys.exit(repr(found))
        time.sleep(2)
    print(found, flush=True)


def _patient(documents: Callable[..., str], *asked: Any, **options: Any) -> str:
    """Return kubeadm's configuration with more time for the control plane."""
    first, *others = yaml.safe_load_all(documents(*asked, **options))
    return dump_all([{**first, "timeouts": {"controlPlaneComponentHealthCheck": f"{_INIT_MINUTES}m"}}, *others])


def _hurry() -> None:
    """Until there is a cluster, give the processor to those that all others wait for."""
    initialised = False
    while not initialised:
        initialised = _initialised.wait(5)
        for found in psutil.process_iter(["name"]):
            if found.info["name"] in _FIRST:
                for thread in Path(f"/proc/{found.pid}/task").glob("*"):
                    with suppress(ProcessLookupError):
                        os.setpriority(os.PRIO_PROCESS, int(thread.name), 0 if initialised else _NICE)


def main() -> None:
    """Record."""
    threading.Thread(target=_hurry, daemon=True).start()
    patient = partial(_patient, kubeadm.init_documents)
    with (
        patch.object(kubeadm, "init_documents", patient),
        patch.dict(os.environ, _RARELY),
        patch.dict(process.run.__kwdefaults__, timeout=60.0 * _INIT_MINUTES),
        patch.object(bootstrap, "_SIGNED_TIMEOUT", 60.0 * _INIT_MINUTES),
        labkit.up("lab", privileged=True, progress=Progress(_say)) as lab,
    ):
        for command in _BEFORE:
            lab.kubectl(command)
        with lab.record(_FILE, _TITLE) as recorder:
            for command in _BEFORE:
                recorder.mark(f"done before: kubectl {command}")
            recorder.mark(f"kubectl {_EXPOSE}")
            lab.kubectl(_EXPOSE)
            _wait_until_right(lab)
            for mode in _MODES:
                recorder.mark(f"labkit proxy mode {mode}")
                print(lab.proxy.switch(mode, timeout=_SECONDS, progress=Progress(_say)), flush=True)
                _wait_until_right(lab)
                if mode == "ipvs":  # packets in the other modes are in the lesson kube-proxy
                    print(lab.proxy.trace("svc/web", from_node="node-01"), flush=True)
                for node in lab.nodes:
                    lab.proxy.rules(node.name)  # what is read is kept in the recording


if __name__ == "__main__":
    main()
