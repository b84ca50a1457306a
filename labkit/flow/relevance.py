"""Which lines of an audit log can matter to the flow of an object: a quick look, before a line is parsed."""

from __future__ import annotations

from collections.abc import Callable

from labkit.flow.model import ObjectName

# An event's JSON begins, in this order (staging/src/k8s.io/apiserver/pkg/apis/audit/v1/types.go):
# {"kind":…,"apiVersion":…,"level":…,"auditID":…,"stage":…,"requestURI":…,"verb":"get","user":{"username":"system:…
_USER = b',"user":'
_COMPONENT = b'"username":"system:'
_WATCHES = (b'"list"', b'"watch"')


def may_matter(subject: ObjectName) -> Callable[[bytes], bool]:
    """Return the look at a line that `labkit.evidence.audit.AuditLog` takes: False for what `trace` would not use.

    What `trace` uses names the subject, for all that Kubernetes makes of an object is named after it or says whose it
    is; or is a write by a person, a component's watch, or a request for a service account's token. A name that is a
    part of many others lets more lines pass than needed, never fewer.

    Parameters
    ----------
    subject : ObjectName
        The object that the flow is about.
    """
    name = subject.name.encode()

    def look(line: bytes) -> bool:
        user = line.find(b"{", 1)
        head = user - len(_USER)
        if not line.startswith(_USER, head):
            return True  # an odd event, or none: whoever parses it will see
        if line.endswith(b'"get"', 0, head):
            return name in line
        if not line.startswith(_COMPONENT, user + 1) or line.endswith(_WATCHES, 0, head):
            return True
        return name in line or line.find(b"/token", 0, head) >= 0

    return look
