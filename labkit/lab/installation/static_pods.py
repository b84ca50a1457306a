"""Static pods of a lab: a manifest in a folder, the kubelet that reads it, the process that it starts.

The kubelet watches the folder by itself (kubernetes.io/docs/tasks/configure-pod-container/static-pod). In the API it
makes a *mirror pod*, so that others see what runs; to delete that one deletes a picture, not the pod.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from labkit.cluster import node_files
from labkit.errors import ClusterError, UsageError
from labkit.lab.components import name_of
from labkit.lab.installation import kubelet_trouble
from labkit.lab.installation.static_pods_shown import Moment, Restart, StaticPod, StaticPods, Undeleted
from labkit.lab.kubectl import Output
from labkit.language import gettext

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

FOLDER = "/etc/kubernetes/manifests"
#: Where what was there before an edit is kept.
_KEPT = "/etc/kubernetes/labkit/manifests"
# A manifest waits beside the others, under names that begin with a dot, which the kubelet does not read (pkg/kubelet/
# config/file_linux.go): from any other folder, which may be another mount, it would come in pieces.
_DRAFT, _AWAY = f"{FOLDER}/.draft", f"{FOLDER}/.away"
_HASH, _MIRROR = "kubernetes.io/config.hash", "kubernetes.io/config.mirror"  # pkg/kubelet/types
_TIMEOUT = 90.0
#: After which a pod whose process still runs is the same: the kubelet ends another one's within 2 s.
_SETTLES = 5.0
_POLL = 0.1
_NAMESPACE = "kube-system"


class LabStaticPods:
    """The static pods of a lab's control plane: ``lab.static_pods``.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._node = lab.nodes[0]

    def __repr__(self) -> str:
        return repr(self.read())

    def _repr_html_(self) -> str:
        return self.read()._repr_html_()

    def read(self) -> StaticPods:
        """Return each manifest, with its process and its mirror in the API.

        Where the API server does not answer, the mirrors are not told.

        Raises
        ------
        ClusterError
            The control plane's node does not run.
        """
        listed = self._node.exec(f"cd {FOLDER} && stat -c '%a %Y %n' *.yaml").splitlines()
        processes = self._processes()
        mirrors = self._mirrors()
        found = []
        for line in listed:
            mode, written, file = line.split(maxsplit=2)
            name = file.removesuffix(".yaml")
            pid, age = processes.get(name, (0, 0))
            mirror = mirrors.get(f"{name}-{self._node.name}", {"metadata": {}})["metadata"]
            found.append(
                StaticPod(
                    name=name,
                    node=self._node.name,
                    manifest=f"{FOLDER}/{file}",
                    mode=int(mode, 8),
                    age=max(0, round(time.time()) - int(written)),
                    pid=pid,
                    process_age=age,
                    mirror=mirror.get("name", ""),
                    uid=mirror.get("uid", ""),
                    hash=mirror.get("annotations", {}).get(_HASH, ""),
                )
            )
        return StaticPods(tuple(found))

    def manifest(self, name: str) -> Output:
        """Return a static pod's manifest as it is written.

        Raises
        ------
        UsageError
            There is none of that name.
        """
        self._require(name)
        return self._node.exec(["cat", f"{FOLDER}/{name}.yaml"])

    def annotate(self, name: str, key: str, value: str) -> Restart:
        """Write an annotation into a static pod's manifest: the pod is another one then, and is started anew.

        Parameters
        ----------
        name : str
            ``"kube-scheduler"``.
        key, value : str
            The annotation: ``"example.com/edited"``, ``"once"``.
        """
        body = yaml.safe_load(self.manifest(name))
        body["metadata"].setdefault("annotations", {})[key] = value
        return self.write(name, yaml.safe_dump(body, sort_keys=False))

    def argument(self, name: str, flag: str, value: str) -> Restart:
        """Write an argument into the command of a static pod's manifest, in place of the one of that flag.

        Parameters
        ----------
        name : str
            ``"kube-scheduler"``.
        flag, value : str
            Without the hyphens: ``"v"``, ``"4"``.
        """
        body = yaml.safe_load(self.manifest(name))
        container = body["spec"]["containers"][0]
        prefix = f"--{flag}="
        container["command"] = [
            *(word for word in container["command"] if not word.startswith(prefix)),
            f"{prefix}{value}",
        ]
        return self.write(name, yaml.safe_dump(body, sort_keys=False))

    def write(self, name: str, text: str) -> Restart:
        """Write a static pod's manifest, and wait for what the kubelet makes of it.

        What was there before is kept: `restore` puts it back.

        Parameters
        ----------
        name : str
            ``"kube-scheduler"``.
        text : str
            The whole manifest.

        Returns
        -------
        Restart
            With a new process, or with the kubelet's trouble.

        Raises
        ------
        UsageError
            There is no static pod of that name.
        ClusterError
            Neither came in time.
        """
        self._require(name)
        keep = f"mkdir -p {_KEPT} && {{ [ -e {_KEPT}/{name}.yaml ] || cp -p {FOLDER}/{name}.yaml {_KEPT}/; }}"
        self._node.exec(keep)
        return self._watched(
            name, gettext("{file} was written").format(file=f"{FOLDER}/{name}.yaml"), lambda: self._put(name, text)
        )

    def restore(self, name: str) -> Restart:
        """Put a static pod's manifest back as it was before the first edit.

        Raises
        ------
        UsageError
            It was not edited.
        """
        try:
            text = self._node.exec(["cat", f"{_KEPT}/{name}.yaml"])
        except ClusterError as error:
            raise UsageError(
                gettext("The manifest of {name!r} was not edited").format(name=name), why=error.why
            ) from error
        what = gettext("{folder}/{name}.yaml was put back").format(folder=FOLDER, name=name)
        restarted = self._watched(name, what, lambda: self._put(name, text), settles=_SETTLES)
        self._node.exec(["rm", f"{_KEPT}/{name}.yaml"])
        return restarted

    def restart(self, name: str) -> Restart:
        """Start a static pod anew: its manifest is taken out of the folder until its process has ended, and put back.

        That is kubeadm's own way (kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs, "Manual
        certificate renewal").
        """
        self._require(name)

        def away_and_back() -> None:
            self._node.exec(["mv", f"{FOLDER}/{name}.yaml", f"{_AWAY}-{name}"])
            try:
                self._until(
                    lambda: name not in self._processes(),
                    gettext("the process of {name} does not end").format(name=name),
                )
            finally:
                self._node.exec(["mv", f"{_AWAY}-{name}", f"{FOLDER}/{name}.yaml"])

        what = gettext("{file} was taken away until the process had ended").format(file=f"{FOLDER}/{name}.yaml")
        return self._watched(name, what, away_and_back, settles=_TIMEOUT)

    def delete_mirror(self, name: str) -> Undeleted:
        """Delete a static pod's mirror by `kubectl delete pod`, and look at what comes of it.

        Raises
        ------
        ClusterError
            The mirror does not come back.
        """
        self._require(name)
        pod = f"{name}-{self._node.name}"
        before = self._mirrors()[pod]["metadata"]
        pid, _ = self._processes()[name]
        started = time.monotonic()
        printed = self._lab.kubectl(["delete", "pod", pod, "--namespace", _NAMESPACE, "--wait=false"])
        self._until(
            lambda: self._mirrors().get(pod, {"metadata": before})["metadata"]["uid"] != before["uid"],
            gettext("the mirror of {name} does not come back").format(name=name),
        )
        after = self._mirrors()[pod]["metadata"]
        return Undeleted(
            printed=printed,
            seconds=time.monotonic() - started,
            uids=(before["uid"], after["uid"]),
            hashes=(before["annotations"][_MIRROR], after["annotations"][_MIRROR]),
            pids=(pid, self._processes().get(name, (0, 0))[0]),
        )

    def _watched(self, name: str, what: str, do: Callable[[], None], *, settles: float = math.inf) -> Restart:
        """Do something to a manifest, and watch process, mirror and the kubelet's log until the pod is another one.

        After `settles` seconds it may be the same one, too.
        """
        before, _ = self._processes().get(name, (0, 0))
        pod = f"{name}-{self._node.name}"
        uid = self._mirrors().get(pod, {"metadata": {}})["metadata"].get("uid", "")
        seen = len(self._log())
        started = time.monotonic()
        do()
        moments = [Moment(0.0, what)]
        while True:
            pid, _ = self._processes().get(name, (0, 0))
            passed = time.monotonic() - started
            if before and pid != before and len(moments) == 1:
                moments.append(Moment(passed, gettext("process {pid} has ended").format(pid=before)))
            if pid and pid != before:
                moments.append(Moment(passed, gettext("process {pid} runs").format(pid=pid)))
                self._mirror_again(pod, uid, started, moments, same=settles < math.inf)
                trouble = None
                break
            if trouble := kubelet_trouble.find(self._log()[seen:]):
                moments.append(Moment(passed, gettext("the kubelet cannot read it")))
                break
            if pid and passed > settles:
                moments.append(Moment(passed, gettext("process {pid} runs on: it is the same pod").format(pid=pid)))
                break
            if passed > _TIMEOUT:
                why = "\n".join(self._log()[seen:][-5:])
                raise ClusterError(
                    gettext("{name} was not started anew").format(name=name),
                    why=why,
                    fix=f"labkit node logs {self._node.name}",
                )
            time.sleep(_POLL)
        logged = tuple(line for line in self._log()[seen:] if name in line)
        return Restart(name, (before, pid), tuple(moments), logged, trouble)

    def _mirror_again(self, pod: str, uid: str, started: float, moments: list[Moment], *, same: bool) -> None:
        """Wait until the API has a mirror of the pod: of the same manifest, the one that was there may stay."""

        def there() -> bool:
            about = self._mirrors().get(pod, {"metadata": {}})["metadata"]
            return bool(about) and "deletionTimestamp" not in about and (same or about["uid"] != uid)

        self._until(there, gettext("the mirror {pod} does not come").format(pod=pod))
        moments.append(Moment(time.monotonic() - started, gettext("the API has the mirror pod {pod}").format(pod=pod)))

    def _put(self, name: str, text: str) -> None:
        """Write a manifest under another name and rename it: the kubelet must not read half of it."""
        draft = f"{_DRAFT}-{name}"
        node_files.write(self._lab.cluster, self._node.name, draft, f"{text}\n")
        self._node.exec(["mv", draft, f"{FOLDER}/{name}.yaml"])

    def _processes(self) -> dict[str, tuple[int, int]]:
        """Return pid and age, in seconds, by component."""
        found = {}
        for line in self._node.exec("ps -ww -eo pid=,etimes=,args=").splitlines():
            pid, age, *command = line.split()
            if name := name_of(command):
                found[name] = int(pid), int(age)
        return found

    def _mirrors(self) -> dict[str, Any]:
        with self._lab.api_server() as api:
            pods = (api.get(f"/api/v1/namespaces/{_NAMESPACE}/pods") or {"items": []})["items"]
        return {pod["metadata"]["name"]: pod for pod in pods if _MIRROR in (pod["metadata"].get("annotations") or {})}

    def _log(self) -> Sequence[str]:
        return self._node.logs("kubelet").splitlines()

    def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _TIMEOUT
        while not done():
            if time.monotonic() > deadline:
                raise ClusterError(
                    what,
                    why=gettext("not within {seconds:.0f} s").format(seconds=_TIMEOUT),
                    fix="labkit node logs master",
                )
            time.sleep(_POLL)

    def _require(self, name: str) -> None:
        known = [file.removesuffix(".yaml") for file in self._node.exec(["ls", FOLDER]).splitlines()]
        if name not in known:
            raise UsageError(
                gettext("There is no static pod {name!r}").format(name=name),
                why=gettext("there are {known}").format(known=", ".join(known)),
                fix=gettext("choose one"),
            )
