"""From evidence to the flow that one person's action caused."""

from __future__ import annotations

from labkit.errors import EvidenceError
from labkit.evidence.model import Evidence
from labkit.flow.actions import ActionKind
from labkit.flow.actors import API_SERVER
from labkit.flow.bodies import mapping
from labkit.flow.causes import Causes
from labkit.flow.describe import describe
from labkit.flow.draft import Draft, number
from labkit.flow.heritage import heritage
from labkit.flow.members import Member, Members, Window, in_order
from labkit.flow.model import EvidenceId, Flow, ObjectName
from labkit.flow.names import selector
from labkit.flow.runtime import Runtime
from labkit.flow.storage import Storage
from labkit.language import gettext


def trace(
    evidence: Evidence, subject: str | ObjectName, *, namespace: str = "default", action: int | ActionKind = -1
) -> Flow:
    """Return the flow that one action of a person about an object caused.

    It ends where the next action about the same object begins. A source that is missing makes hops less certain, never
    absent: `Hop.observed` and `Hop.rule` say so.

    Parameters
    ----------
    evidence : Evidence
        What the components left.
    subject : str or ObjectName
        The object: ``"deployment/tomcat"``.
    namespace : str
        Where it is, if `subject` is a text.
    action : int or str
        Which of the actions about it: by index, or the last of a kind (``"create"``); by default the last that was not
        refused.

    Raises
    ------
    EvidenceError
        No person wrote anything about it, or not so often.
    UsageError
        `subject` names no object.
    """
    name = selector(subject, namespace) if isinstance(subject, str) else subject
    members = Members(name, evidence.cluster.addresses, heritage(evidence.revisions, evidence.changes))
    for event in in_order(evidence.audit):
        members.take(event)
    window = _choose(members.windows, name, action)
    drafts = _hops(evidence, members, window)
    nodes = evidence.cluster.nodes or tuple(sorted({*window.pods.values(), *(d.source.node for d in drafts)} - {""}))
    return Flow(
        subject=window.members[0].name,
        hops=number(drafts),
        pods=dict(sorted(window.pods.items())),
        nodes=nodes,
        action=window.action.what,
        control_plane=evidence.cluster.control_plane,
        losses=_losses(evidence),
        until=window.until,
    )


def _choose(windows: list[Window], name: ObjectName, action: int | ActionKind) -> Window:
    if not windows:
        raise EvidenceError(
            gettext("Nobody wrote anything about {name} in {namespace} in this evidence.").format(
                name=name, namespace=name.namespace or gettext("the cluster")
            ),
            why=gettext("A flow begins with a person's request, and the audit log has none about this object."),
            fix=gettext(
                "Do something with it while the lab runs, for example: labkit deploy {name} --image IMAGE"
            ).format(name=name.name),
        )
    if isinstance(action, str):
        chosen = [window for window in windows if window.action.kind == action]
    elif action == -1:
        chosen = windows
    else:
        chosen = windows[action:][:1] if -len(windows) <= action < len(windows) else []
    if not chosen:
        raise EvidenceError(
            gettext("There is no action {action} about {name}.").format(action=action, name=name),
            why=gettext("The evidence has {count}: {actions}.").format(
                count=len(windows), actions=", ".join(window.action.what for window in windows)
            ),
            fix=gettext("Choose one by its number, from 0 to {last}.").format(last=len(windows) - 1),
        )
    return ([window for window in chosen if not window.action.refused] or chosen)[-1]


def _hops(evidence: Evidence, members: Members, window: Window) -> list[Draft]:
    storage = Storage(window.members, evidence.spans, evidence.revisions)
    pods = {member.name.uid: member.name for member in window.members if member.name.resource == "pods"}
    plain = {uid: ObjectName("pods", pod.namespace, pod.name, uid=uid) for uid, pod in pods.items() if uid}
    runtime = Runtime(plain, evidence.runtime, evidence.spans)
    causes = Causes(members.watches, members.owners, runtime)
    drafts = []
    for member in window.members:
        request = _request(member)
        if request.kind == "record":
            request.evidence += storage.revision_of(member)
            persists = []
        else:
            persists = storage.persists(member, request)
        causes.add_request(member, request, persists)
        drafts += [request, *persists]
    for call in (*runtime.hops(window.action.time, window.until), *_unseen_calls(window, runtime)):
        causes.add_call(call)
        drafts.append(call)
    causes.link()
    if window.action.object.resource == "services":
        causes.tell_proxies()
    return drafts + causes.notifies


def _unseen_calls(window: Window, runtime: Runtime) -> list[Draft]:
    """Return what runtimes did that only the kubelets' reports tell of."""
    found: dict[str, list[Draft]] = {}
    bound = {member.name.uid: member.event.staged for member in window.members if member.name.subresource == "binding"}
    for member in window.members:
        name, event = member.name, member.event
        reports = (name.resource, name.subresource, member.source.kind) == ("pods", "status", "kubelet")
        if reports and name.uid in bound and not found.get(name.uid):
            pod = ObjectName("pods", name.namespace, name.name, uid=name.uid)
            status = mapping(event.response, "status")
            calls = runtime.reported(pod, member.source.node, status, (bound[name.uid], event.received))
            for call in calls:
                call.evidence = (EvidenceId.of(event),)
            found[name.uid] = calls
    return [call for calls in found.values() for call in calls]


def _request(member: Member) -> Draft:
    event = member.event
    return Draft(
        "record" if member.name.resource == "events" else "request",
        member.source,
        API_SERVER,
        event.verb,
        member.name,
        event.received,
        event.staged,
        describe(event, member.name),
        member.because,
        (EvidenceId.of(event),),
        code=event.code,
        observed=not event.inferred,
        rule=event.inferred,
    )


def _losses(evidence: Evidence) -> tuple[str, ...]:
    """Return what the evidence lacks, in words."""
    sources = {
        "spans": gettext("no trace spans"),
        "revisions": gettext("no etcd revisions"),
        "runtime": gettext("no calls of container runtimes"),
    }
    missing = [words for source, words in sources.items() if not getattr(evidence, source)]
    lost = [f"{loss.source}: {loss.what}" + (f" ({loss.why})" if loss.why else "") for loss in evidence.losses]
    if evidence.changes and all(event.inferred for event in evidence.audit):
        missing.append(gettext("no audit log: who asked is inferred from what watches told"))
    return (*missing, *lost)
