"""The exercises about certificates and static pods: who signed one, and an annotation that reached a running pod."""

from __future__ import annotations

from labkit.checks.verdict import Verdict, looks, unanswered
from labkit.errors import UsageError
from labkit.lab import Lab
from labkit.language import gettext

_NAMESPACE = "kube-system"


@looks
def signed_by(lab: Lab, name: str, answer: str | None) -> Verdict:
    """Check which authority signed a certificate.

    Parameters
    ----------
    lab : Lab
        Where to look.
    name : str
        The certificate's: ``"apiserver-etcd-client"``.
    answer : str or None
        The name of a certificate.
    """
    if answer is None:
        return unanswered(gettext('the name of a certificate, for example "apiserver"'))
    found = lab.certificates.read()
    asked = found[name]
    try:
        given = found[answer]
    except UsageError as error:
        return Verdict(False, gettext("There is no certificate {answer!r}.").format(answer=answer), (error.why,))
    evidence = (
        gettext("{name} is for this: {use}").format(name=name, use=asked.use),
        gettext("{answer} is for this: {use}").format(answer=answer, use=given.use),
    )
    if not given.authority:
        return Verdict(
            False, gettext("{answer} is no authority: its key must not sign anything.").format(answer=answer), evidence
        )
    if asked.signed_by != answer:
        return Verdict(
            False,
            gettext("The key of {answer} did not make that signature. Who has to believe {name}?").format(
                answer=answer, name=name
            ),
            evidence,
        )
    return Verdict(True, gettext("Its key verifies the signature of {name}.").format(name=name), evidence)


@looks
def annotated(lab: Lab, name: str, key: str) -> Verdict:
    """Check that a static pod runs from a manifest that has an annotation.

    Parameters
    ----------
    lab : Lab
        Where to look.
    name : str
        The static pod's: ``"kube-scheduler"``.
    key : str
        The annotation's.
    """
    (pod,) = [each for each in lab.static_pods.read().found if each.name == name]
    in_file = key in lab.static_pods.manifest(name)
    with lab.api_server() as api:
        mirror = api.get(f"/api/v1/namespaces/{_NAMESPACE}/pods/{name}-{pod.node}") or {"metadata": {}}
    in_api = key in mirror["metadata"].get("annotations", {})
    evidence = (
        gettext("{manifest} has the word {key}").format(manifest=pod.manifest, key=key)
        if in_file
        else gettext("{manifest} does not have the word {key}").format(manifest=pod.manifest, key=key),
        gettext("the mirror pod has the annotation")
        if in_api
        else gettext("the mirror pod does not have the annotation"),
        gettext("process {pid} runs for {seconds} s").format(pid=pod.pid, seconds=pod.process_age),
    )
    if in_file and in_api:
        return Verdict(True, gettext("The kubelet read the file, started another process, and told the API."), evidence)
    if in_api:
        return Verdict(
            False, gettext("The mirror pod has it, and no process is another one: you edited the picture."), evidence
        )
    if in_file:
        return Verdict(
            False, gettext("It is in the file, and not where a pod's annotations are, or not read yet."), evidence
        )
    return Verdict(None, gettext("It is neither in the manifest nor in the API yet."), evidence)
