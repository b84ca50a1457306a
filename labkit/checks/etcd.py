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
from labkit.language import gettext
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
        return unanswered(gettext('a key, for example "/registry/pods/default/web"'))
    try:
        found = lab.etcd.get(answer)
    except UsageError:
        below = lab.etcd.keys(answer.strip().rstrip("/") + "/")
        if len(below):
            lines = tuple(below[:_MOST_LINES])
            return Verdict(False, gettext("That is no key, but {count} keys begin so.").format(count=len(below)), lines)
        every = lab.etcd.keys()
        resources = ", ".join(sorted({short(key).split("/")[0] for key in every}))
        return Verdict(
            False,
            gettext("etcd has no key {key}.").format(key=full(answer)),
            (gettext("after /registry/ comes one of: {resources}").format(resources=resources),),
        )
    kept = (text(found.value, "kind"), text(found.value, "metadata", "name"))
    evidence = (
        gettext("{key} holds: kind {found}, name {name}").format(key=full(answer), found=kept[0], name=kept[1]),
    )
    if kept == (kind, name):
        return Verdict(True, gettext("The API server reads it there, and writes it there."), evidence)
    if kept[1] == name:
        return Verdict(
            False,
            gettext("That is the {found} of the same name, another object than the {kind}.").format(
                found=kept[0], kind=kind
            ),
            evidence,
        )
    return Verdict(
        False, gettext("Another object is kept there than the {kind} {name}.").format(kind=kind, name=name), evidence
    )


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
        return unanswered(gettext("a revision, a whole number"))
    try:
        history = lab.etcd.history(key)
    except UsageError:
        return _forgotten(key)
    field = ".".join(path)
    own = [each for each in history if each.revision == answer]
    if not own:
        return Verdict(False, _elsewhere(lab, answer, history), _told(history, path))
    at = history.versions.index(own[0])
    before = dig(history[at - 1].value, *path) if at else None
    after = dig(own[0].value, *path)
    changed = ", ".join(change.path for change in history.changed(answer)[:_MOST_LINES]) or own[0].what
    evidence = (
        gettext("revision {revision} of {key}: {changed}").format(revision=answer, key=short(key), changed=changed),
        gettext("{field} was {before} before it, and {after} with it").format(field=field, before=before, after=after),
    )
    if after != value:
        return Verdict(
            False,
            gettext("At revision {revision}, {field} is not {value}.").format(
                revision=answer, field=field, value=value
            ),
            evidence,
        )
    if before == after or (at == 0 and own[0].what != "created"):
        return Verdict(
            False, gettext("{field} had that value already: an earlier revision set it.").format(field=field), evidence
        )
    return Verdict(True, gettext("Before it, {field} was {before}.").format(field=field, before=before), evidence)


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
        removed = gettext("revision {revision} removed it").format(revision=history[-1].revision)
        return Verdict(None, gettext("There is no ConfigMap {name} now.").format(name=name), (removed,))
    removals = [at for at, each in enumerate(history) if each.removed]
    if not removals:
        return Verdict(
            None, gettext("The ConfigMap {name} was never removed, as far as etcd remembers.").format(name=name)
        )
    last = removals[-1]
    wanted, present = _data(history[last - 1].value), _data(history[-1].value)
    evidence = (
        gettext("revision {revision} removed it; until then its data had the keys {keys}").format(
            revision=history[last].revision, keys=sorted(wanted)
        ),
        gettext("revision {revision}, the present one: its data has the keys {keys}").format(
            revision=history[-1].revision, keys=sorted(present)
        ),
    )
    if present == wanted:
        return Verdict(
            True, gettext("Its data is what it was before it was removed. It is a new object all the same."), evidence
        )
    older = [each.revision for each in history[: last - 1] if not each.removed and _data(each.value) == present]
    if older:
        why = gettext(
            "That is what it was at revision {revision}. It was changed once more before it was removed."
        ).format(revision=older[-1])
        return Verdict(False, why, evidence)
    differ = sum(wanted.get(key) != present.get(key) for key in {**wanted, **present})
    why = gettext("It is there, but {count} of its data's values differ from what they were.").format(count=differ)
    return Verdict(False, why, evidence)


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
        return unanswered(gettext("a revision, a whole number"))
    given = _asked(lab, key, answer)
    if given:
        return Verdict(
            False,
            gettext("etcd does not tell it."),
            (gettext("at revision {revision}: {said}").format(revision=answer, said=given),),
        )
    earlier = _asked(lab, key, answer - 1)
    if not earlier:
        told = gettext("at revision {revision}: it was there, too").format(revision=answer - 1)
        return Verdict(False, gettext("etcd tells it, and it tells of an earlier one, too."), (told,))
    return Verdict(
        True,
        gettext("etcd tells it, and nothing earlier."),
        (gettext("at revision {revision}: {said}").format(revision=answer - 1, said=earlier),),
    )


def _forgotten(key: str) -> Verdict:
    why = gettext(
        "etcd has nothing of {key}. It keeps the past for five to ten minutes: run this section's cells again."
    ).format(key=short(key))
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
        return gettext("Revision {revision} is before the last compaction: etcd has forgotten it.").format(
            revision=revision
        )
    if revision > (newest := lab.etcd.revision):
        return gettext("Revision {revision} has not been yet: the newest is {newest}.").format(
            revision=revision, newest=newest
        )
    other = next((each for each in lab.etcd.store.since(revision) if each.revision == revision), None)
    if other is None:
        return gettext("Revision {revision} is none of this key's.").format(revision=revision)
    return gettext("Revision {revision} {what} another key: {key}.").format(
        revision=revision, what=other.what, key=short(other.key)
    )


def _told(history: History, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return which revisions a key has, without what they did."""
    numbers = [str(each.revision) for each in history]
    return (
        gettext("the revisions of {key}: {numbers}").format(key=short(history.key), numbers=", ".join(numbers)),
        gettext("look at {field} in each").format(field=".".join(path)),
    )


def _data(value: Json | None) -> Mapping[str, Any]:
    return mapping(value, "data")
