"""Notebook 07: which phase of `kubeadm init` made something, and who noticed that an option is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.checks.verdict import Verdict, unanswered
from labkit.lab.installation.mistakes import Attempt
from labkit.lab.installation.phases import PHASES, InitPhase, InitRun
from labkit.lab.installation.written import FileChange
from labkit.language import gettext

#: What `made` asks for: a file by its path, or an object of the API by how kubectl names it.
_THINGS = {
    "A": "/etc/kubernetes/manifests/etcd.yaml",
    "B": "/etc/kubernetes/pki/ca.crt",
    "C": "/var/lib/kubelet/config.yaml",
    "D": "kube-system/configmaps/kubeadm-config",
    "E": "kube-system/daemonsets/kube-proxy",
}
#: The same as text, for people.
THINGS = "\n".join(f"{letter}: {thing}" for letter, thing in _THINGS.items())
#: Who can notice that an option is wrong.
WHO = ("kubeadm", "container runtime", "etcd", "kube-controller-manager")


def made(run: InitRun, answer: Mapping[str, str] | None) -> Verdict:
    """Check in which phase each of `THINGS` was made.

    Parameters
    ----------
    run : InitRun
        A run of `kubeadm init` that came to its end.
    answer : mapping of str to str, or None
        Letter → name of a phase: ``{"A": "preflight", …}``.
    """
    if answer is None:
        return unanswered(gettext('a phase for each letter, for example {"A": "preflight", "B": "preflight", …}'))
    if set(answer) != set(_THINGS):
        return Verdict(
            False,
            gettext("Each of the letters {letters} needs a phase.").format(letters=", ".join(_THINGS)),
            (gettext("given: {answer}").format(answer=list(answer)),),
        )
    if unknown := sorted(set(answer.values()) - {kind.name for kind in PHASES}):
        return Verdict(
            False,
            gettext("There is no phase {name!r}.").format(name=unknown[0]),
            (", ".join(kind.name for kind in PHASES),),
        )
    phases = {letter: _phase_of(run, thing) for letter, thing in _THINGS.items()}
    if missing := [letter for letter, phase in phases.items() if phase is None]:
        return Verdict(
            None,
            gettext("This run did not make {thing}; run all phases on a fresh lab.").format(thing=_THINGS[missing[0]]),
        )
    wrong = [letter for letter, phase in phases.items() if phase and answer[letter] != phase.name]
    if wrong:
        evidence = tuple(_told(run, letter, answer[letter]) for letter in wrong)
        return Verdict(
            False,
            gettext("{wrong} of {asked} were not made in the phase that you say.").format(
                wrong=len(wrong), asked=len(_THINGS)
            ),
            evidence,
        )
    told = tuple(_told(run, letter, answer[letter]) for letter in _THINGS)
    return Verdict(True, gettext("First files, for what cannot be asked of an API server yet; then objects."), told)


def noticed(attempts: Iterable[Attempt], answer: Mapping[str, str] | None) -> Verdict:
    """Check who noticed each mistake.

    Parameters
    ----------
    attempts : iterable of Attempt
        What came of the mistakes.
    answer : mapping of str to str, or None
        Name of a mistake → one of `WHO`.
    """
    if answer is None:
        return unanswered(gettext('who noticed each mistake, for example {"image-repository": "etcd", …}'))
    seen = {each.name: each for each in attempts}
    if set(answer) != set(seen):
        return Verdict(False, gettext("Say who noticed it for each mistake that was tried."), (", ".join(seen),))
    if unknown := sorted(set(answer.values()) - set(WHO)):
        return Verdict(
            False,
            gettext("{name!r} is nobody here.").format(name=unknown[0]),
            (gettext("choose of: {names}").format(names=", ".join(WHO)),),
        )
    wrong = [each for each in seen.values() if answer[each.name] != each.noticed]
    if wrong:
        return Verdict(
            False,
            gettext("{wrong} of {asked} were noticed by another.").format(wrong=len(wrong), asked=len(seen)),
            tuple(map(_clue, wrong)),
        )
    return Verdict(
        True,
        gettext("The later somebody notices, the more is there already to take away."),
        tuple(map(_clue, seen.values())),
    )


def _phase_of(run: InitRun, thing: str) -> InitPhase | None:
    for phase in run.phases:
        if _time(phase, thing):
            return phase
    return None


def _time(phase: InitPhase, thing: str) -> float | None:
    """Return when a thing was made during a phase, None where it was not."""
    for each in phase.written:
        if each.change == "created" and (each.path if isinstance(each, FileChange) else str(each)) == thing:
            return each.time
    return None


def _told(run: InitRun, letter: str, name: str) -> str:
    thing = _THINGS[letter]
    when = next(time for phase in run.phases if (time := _time(phase, thing))) - run.began
    said = run[name]
    return gettext("{letter} was made after {when:.2f} s; {name}: {start:.2f} to {end:.2f} s").format(
        letter=letter, when=when, name=name, start=said.start, end=said.start + said.seconds
    )


def _clue(attempt: Attempt) -> str:
    last = attempt.run.phases[-1].name if attempt.run.phases else gettext("nothing")
    if attempt.run.trouble:
        return gettext("{name}: kubeadm init ended in {last}").format(name=attempt.name, last=last)
    return gettext("{name}: kubeadm init was content after {last}").format(name=attempt.name, last=last)
