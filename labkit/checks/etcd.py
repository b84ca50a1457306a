"""The exercises of notebook 09: an object's key, a change's revision, a value brought back, how far back etcd tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.errors import UsageError
from labkit.evidence.etcd_store import full
from labkit.evidence.model import Json
from labkit.flow.bodies import dig, mapping, text
from labkit.lab import Lab
from labkit.lab.etcd_shown import History
from labkit.views.revisions import short

_MOST_LINES = 6


@looks
def kept_at(lab: Lab, kind: str, name: str, answer: str | None) -> Verdict:
    """Check under which key etcd keeps an object.

    Parameters
    ----------
    lab : Lab
        Where to look.
    kind, name : str
        The object's: ``"Node"``, ``"node-01"``.
    answer : str or None
        The key, with or without ``/registry/``.
    """
    if answer is None:
        return unanswered('a key, for example "/registry/pods/default/web"')
    try:
        found = lab.etcd.get(answer)
    except UsageError:
        below = lab.etcd.keys(answer.strip().rstrip("/") + "/")
        if len(below):
            lines = tuple(below[:_MOST_LINES])
            return Verdict(False, f"That is no key, but {len(below)} keys begin so.", lines)
        every = lab.etcd.keys()
        resources = ", ".join(sorted({short(key).split("/")[0] for key in every}))
        return Verdict(False, f"etcd has no key {full(answer)}.", (f"after /registry/ comes one of: {resources}",))
    kept = (text(found.value, "kind"), text(found.value, "metadata", "name"))
    evidence = (f"{full(answer)} holds: kind {kept[0]}, name {kept[1]}",)
    if kept == (kind, name):
        return Verdict(True, "The API server reads it there, and writes it there.", evidence)
    if kept[1] == name:
        return Verdict(False, f"That is the {kept[0]} of the same name, another object than the {kind}.", evidence)
    return Verdict(False, f"Another object is kept there than the {kind} {name}.", evidence)


@looks
def revision_that_set(lab: Lab, key: str, path: tuple[str, ...], value: Any, answer: int | None) -> Verdict:
    """Check which revision of a key gave a field a value.

    Parameters
    ----------
    lab : Lab
        Where to look.
    key : str
        Whose history.
    path : tuple of str
        The field's: ``("spec", "replicas")``.
    value
        That it was given.
    answer : int or None
        The revision.
    """
    if answer is None:
        return unanswered("a revision, a whole number")
    try:
        history = lab.etcd.history(key)
    except UsageError:
        return _forgotten(key)
    field = ".".join(path)
    own = [each for each in history if each.revision == answer]
    if not own:
        return Verdict(False, f"Revision {answer} {_elsewhere(lab, answer, history)}", _told(history, path))
    at = history.versions.index(own[0])
    before = dig(history[at - 1].value, *path) if at else None
    after = dig(own[0].value, *path)
    changed = ", ".join(change.path for change in history.changed(answer)[:_MOST_LINES]) or own[0].what
    evidence = (f"revision {answer} of {short(key)}: {changed}", f"{field} was {before} before it, and {after} with it")
    if after != value:
        return Verdict(False, f"At revision {answer}, {field} is not {value}.", evidence)
    if before == after or (at == 0 and own[0].what != "created"):
        return Verdict(False, f"{field} had that value already: an earlier revision set it.", evidence)
    return Verdict(True, f"Before it, {field} was {before}.", evidence)


@looks
def brought_back(lab: Lab, name: str) -> Verdict:
    """Check that a ConfigMap that was removed is there again, with the data that it had last.

    Parameters
    ----------
    lab : Lab
        Where to look.
    name : str
        Its name, in namespace default.
    """
    try:
        history = lab.etcd.history(f"configmaps/default/{name}")
    except UsageError:
        return _forgotten(f"configmaps/default/{name}")
    if not history[-1].value:
        removed = history[-1].revision
        return Verdict(None, f"There is no ConfigMap {name} now.", (f"revision {removed} removed it",))
    removals = [at for at, each in enumerate(history) if each.removed]
    if not removals:
        return Verdict(None, f"The ConfigMap {name} was never removed, as far as etcd remembers.")
    last = removals[-1]
    wanted, present = _data(history[last - 1].value), _data(history[-1].value)
    evidence = (
        f"revision {history[last].revision} removed it; until then its data had the keys {sorted(wanted)}",
        f"revision {history[-1].revision}, the present one: its data has the keys {sorted(present)}",
    )
    if present == wanted:
        return Verdict(
            True, "Its data is what it was before it was removed. It is a new object all the same.", evidence
        )
    older = [each.revision for each in history[: last - 1] if not each.removed and _data(each.value) == present]
    if older:
        why = f"That is what it was at revision {older[-1]}. It was changed once more before it was removed."
        return Verdict(False, why, evidence)
    differ = [key for key in {**wanted, **present} if wanted.get(key) != present.get(key)]
    return Verdict(False, f"It is there, but {len(differ)} of its data's values differ from what they were.", evidence)


@looks
def oldest(lab: Lab, key: str, answer: int | None) -> Verdict:
    """Check which is the oldest revision at which etcd still tells what a key was; it is tried.

    Parameters
    ----------
    lab : Lab
        Where to ask.
    key : str
        The key.
    answer : int or None
        The revision.
    """
    if answer is None:
        return unanswered("a revision, a whole number")
    given = _asked(lab, key, answer)
    if given:
        return Verdict(False, "etcd does not tell it.", (f"at revision {answer}: {given}",))
    earlier = _asked(lab, key, answer - 1)
    if not earlier:
        told = f"at revision {answer - 1}: it was there, too"
        return Verdict(False, "etcd tells it, and it tells of an earlier one, too.", (told,))
    return Verdict(True, "etcd tells it, and nothing earlier.", (f"at revision {answer - 1}: {earlier}",))


def _forgotten(key: str) -> Verdict:
    why = (
        f"etcd has nothing of {short(key)}. It keeps the past for five to ten minutes: run this section's cells again."
    )
    return Verdict(None, why)


def _asked(lab: Lab, key: str, revision: int) -> str:
    """Return why etcd does not tell of a key at a revision; empty where it does."""
    try:
        lab.etcd.get(key, revision)
    except UsageError as error:
        return f"{error.what}. {error.why.partition(':')[0]}"
    return ""


def _elsewhere(lab: Lab, revision: int, history: History) -> str:
    """Return what a revision is that is none of a key's."""
    if revision <= history.compacted:
        return "is before the last compaction: etcd has forgotten it."
    if revision > (newest := lab.etcd.revision):
        return f"has not been yet: the newest is {newest}."
    other = next((each for each in lab.etcd.store.since(revision) if each.revision == revision), None)
    return f"{other.what} another key: {short(other.key)}." if other else "is none of this key's."


def _told(history: History, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return which revisions a key has, without what they did."""
    numbers = [str(each.revision) for each in history]
    return (f"the revisions of {short(history.key)}: {', '.join(numbers)}", f"look at {'.'.join(path)} in each")


def _data(value: Json | None) -> Mapping[str, Any]:
    return mapping(value, "data")
