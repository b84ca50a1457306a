"""What is said of a notification: of what it tells, who listens, and how a change is related to what it led to."""

from __future__ import annotations

from typing import NamedTuple

from labkit.flow.actors import Actor
from labkit.flow.draft import Draft
from labkit.flow.members import Watch
from labkit.language import gettext, gettext_noop

#: How a change can be related to what it led to.
ABOUT = gettext_noop("about {thing}")
ENDPOINTS = gettext_noop("of endpoints for {thing}")
SIBLING = gettext_noop("a pod of the same owner as {thing}")
OWNED = gettext_noop("about what {thing} owns")
OWNER = gettext_noop("about the owner of {thing}")
KIN = gettext_noop("about {thing} or its kin")


class Relation(NamedTuple):
    """How a change is related to what it led to; as a string in English, so that a tie ends alike in all languages.

    Attributes
    ----------
    text : str
        One of the above.
    thing : str
        What stands in it.
    """

    text: str
    thing: str

    @property
    def told(self) -> str:
        """The same in the learner's language."""
        return gettext(self.text).format(thing=self.thing)

    def __str__(self) -> str:
        """Return it in English."""
        return self.text.format(thing=self.thing)


def tells(who: str, persist: Draft, verb: str) -> str:
    """Return what a notification does: ``"tells scheduler of pods/tomcat-5c8-x7k2p (ADDED)"``."""
    return gettext("tells {name} of {thing} ({verb})").format(name=who, thing=persist.object, verb=verb)


def tells_of(persist: Draft) -> str:
    """Return why a notification belongs to a flow: ``"tells of revision 512"``."""
    if persist.revision:
        return gettext("tells of revision {revision}").format(revision=persist.revision)
    return gettext("tells of {thing}").format(thing=persist.object)


def watches(watcher: Actor, resource: str, watch: Watch | None) -> str:
    """Return that somebody watches a resource, and how that is known; without a watch, it is in no log yet."""
    if watch is None:
        said = gettext("{name} watches {resource}, though its watch is still open and so not in the audit log yet")
    elif watch.verb == "watch":
        said = gettext("{name} watches {resource} (its watch is in the audit log)")
    else:
        said = gettext("{name} watches {resource} (the list with which its watch began is in the audit log)")
    return said.format(name=watcher.name, resource=resource)
