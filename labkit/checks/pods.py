"""The exercises of notebook 02: what containers of a Pod share, how they reach each other, a Pod of one's own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import yaml

from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.errors import ClusterError
from labkit.lab import Lab
from labkit.lab.anatomy import KINDS, Inhabitant
from labkit.language import gettext

_SECONDS = 20.0
_WRITES_SECONDS = 4.0  # writer writes each second
_POLL_SECONDS = 0.2
#: Says what a server at an address greets with, in PHP: MySQL's protocol begins with the server's greeting.
_GREETING = """
[$host, $port] = explode(':', $argv[1]) + [1 => 0];
$socket = @fsockopen($host, (int) $port, $code, $error, 2);
if (!$socket) { fwrite(STDERR, $error ?: 'no such address'); exit(1); }
stream_set_timeout($socket, 2);
echo preg_replace('/[^ -~]+/', ' ', fread($socket, 64));
"""


@looks
def shared(lab: Lab, pod: str, answer: Iterable[str] | None) -> Verdict:
    """Check which namespaces the containers of a Pod have in common.

    Parameters
    ----------
    lab : Lab
        Where to look.
    pod : str
        Its name, in namespace default.
    answer : iterable of str or None
        Kinds of namespaces: of ``net``, ``ipc``, ``uts``, ``pid``, ``mnt``.
    """
    if answer is None:
        return unanswered(gettext("a set of these: {kinds}").format(kinds=", ".join(KINDS)))
    given = {answer} if isinstance(answer, str) else set(answer)
    if unknown := given - set(KINDS):
        return Verdict(
            False,
            gettext("There is no kind of namespace {unknown!r} here.").format(unknown=sorted(unknown)[0]),
            (", ".join(KINDS),),
        )
    anatomy = lab.anatomy(pod)
    wrong = given - set(anatomy.shared())
    if wrong:
        evidence = tuple(
            f"{kind}: {', '.join(_is_in(each, kind) for each in anatomy.inhabitants)}" for kind in sorted(wrong)
        )
        return Verdict(
            False,
            gettext("{wrong} of your {given} differ from container to container.").format(
                wrong=len(wrong), given=len(given)
            ),
            evidence,
        )
    if missing := len(set(anatomy.shared()) - given):
        return Verdict(
            False,
            gettext("These are shared, and {missing} more. Compare the numbers in the picture.").format(
                missing=missing
            ),
        )
    return Verdict(True, gettext("The containers of a Pod are neighbours in these, and have all else for themselves."))


@looks
def reaches(lab: Lab, answer: str | None) -> Verdict:
    """Check by which address the container ``php`` of the Pod ``blog`` reaches its neighbour's database.

    Parameters
    ----------
    lab : Lab
        Where to try.
    answer : str or None
        ``"HOST:PORT"``.
    """
    if answer is None:
        return unanswered('"HOST:PORT"')
    command = ["exec", "blog", "--container", "php", "--", "php", "-r", _GREETING, "--", answer]
    try:
        greeting = lab.kubectl(command)
    except ClusterError as error:
        return Verdict(
            False, gettext("From the container php, nothing answers at {answer}.").format(answer=answer), (error.why,)
        )
    evidence = (
        gettext("php connected to {answer}; the server's first words: {words}").format(
            answer=answer, words=greeting.strip()
        ),
    )
    if "MariaDB" not in greeting and "mysql" not in greeting.lower():
        return Verdict(False, gettext("Something answers there, and it is no database."), evidence)
    return Verdict(True, gettext("The database answers."), evidence)


@looks
def shares_a_file(lab: Lab, manifest: str | None, path: str = "/data/now") -> Verdict:
    """Check a Pod ``pair`` of two containers: what ``writer`` writes into a file, ``reader`` must be able to read.

    The Pod is made from the manifest, and removed afterwards.

    Parameters
    ----------
    lab : Lab
        Where to try.
    manifest : str or None
        YAML.
    path : str
        The file, in both containers.
    """
    if manifest is None:
        return unanswered(gettext("the manifest of a Pod, YAML"))
    try:
        pod = yaml.safe_load(manifest)
        names = [each["name"] for each in pod["spec"]["containers"]]
    except yaml.YAMLError as error:
        return Verdict(False, gettext("That is no YAML."), tuple(str(error).splitlines()))
    except (KeyError, TypeError):
        return Verdict(False, gettext("That is no Pod: a Pod has spec.containers, each with a name."))
    if missing := {"writer", "reader"} - set(names):
        return Verdict(
            False,
            gettext("The Pod has no container {container}.").format(container=sorted(missing)[0]),
            (gettext("it has: {names}").format(names=", ".join(names)),),
        )
    pod.setdefault("metadata", {})["name"] = "pair"
    try:
        lab.kubectl("apply --filename -", stdin=json.dumps(pod))
    except ClusterError as error:
        return Verdict(False, gettext("The API server refused the manifest."), tuple(error.why.splitlines()))
    try:
        return _try(lab, path)
    finally:
        lab.kubectl("delete pod pair --grace-period=1 --ignore-not-found")


def _is_in(inhabitant: Inhabitant, kind: str) -> str:
    return gettext("{name} is in {number}").format(name=inhabitant.name, number=inhabitant.namespaces[kind])


def _try(lab: Lab, path: str) -> Verdict:
    deadline = time.monotonic() + _SECONDS
    while not _all_run(pod := json.loads(lab.kubectl("get pod pair --output json"))):
        if time.monotonic() > deadline:
            return Verdict(
                False, gettext("After {seconds:.0f} s not all containers run.").format(seconds=_SECONDS), _states(pod)
            )
        time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + _WRITES_SECONDS
    while True:
        try:
            text = lab.kubectl(["exec", "pair", "--container", "reader", "--", "cat", path])
            return Verdict(
                True,
                gettext("reader reads what writer wrote."),
                (gettext("{path} in reader: {text}").format(path=path, text=text.strip()[:80]),),
            )
        except ClusterError as error:
            if time.monotonic() > deadline:
                return Verdict(
                    False,
                    gettext("reader cannot read {path}.").format(path=path),
                    (error.why.splitlines()[0], *_mounts(pod)),
                )
        time.sleep(_POLL_SECONDS)


def _all_run(pod: dict[str, Any]) -> bool:
    states = [each["state"] for each in pod["status"].get("containerStatuses") or ()]
    return bool(states) and all("running" in state for state in states)


def _states(pod: dict[str, Any]) -> tuple[str, ...]:
    not_running = gettext("not running")
    return tuple(
        f"{each['name']}: {next(iter(each['state'].values())).get('reason', not_running)}"
        for each in pod["status"].get("containerStatuses") or ()
    ) or (gettext("phase {phase}").format(phase=pod["status"].get("phase")),)


def _mounts(pod: dict[str, Any]) -> tuple[str, ...]:
    """Return which volumes each container sees where, without the token that every Pod has."""
    return tuple(
        gettext("{name} sees: {seen}").format(name=each["name"], seen=_seen(each)) for each in pod["spec"]["containers"]
    )


def _seen(container: dict[str, Any]) -> str:
    mounts = [each for each in container.get("volumeMounts") or () if not each["name"].startswith("kube-api-access-")]
    return ", ".join(
        gettext("{name} at {path}").format(name=each["name"], path=each["mountPath"]) for each in mounts
    ) or gettext("no volume")
