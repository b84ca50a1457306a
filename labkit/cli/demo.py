"""The main job from end to end: a cluster, Tomcat on it, what happened, its page through its Service."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli import console
from labkit.cli.faults import show
from labkit.cli.lifecycle import show_lab
from labkit.cli.options import Name, example
from labkit.cli.progress import progress
from labkit.errors import ClusterError, ComponentError, LabkitError, PreflightError
from labkit.progress import Phase

if TYPE_CHECKING:
    from labkit.lab import Lab

app = typer.Typer()
_PAGE_SECONDS = 60.0
_APPLICATION = "tomcat"


@app.command(epilog=example("labkit demo", "labkit demo --keep --svg /tmp/flow.svg"))
def demo(
    name: Name = "demo",
    keep: Annotated[
        bool,
        typer.Option("--keep", envvar="KEEP", help="Leave the cluster up; one that was there before stays anyway."),
    ] = False,
    svg: Annotated[Path, typer.Option(metavar="FILE", help="Where the flow is drawn.")] = Path("demo/flow.svg"),
) -> None:
    """Show it all: cluster, Tomcat, flow, page.

    A cluster comes up, Tomcat is deployed, what that caused is printed and drawn, its page is fetched through its
    Service, and the cluster goes down.
    """
    import labkit  # noqa: PLC0415 - costs time that `--help` has not
    from labkit.lab import down  # noqa: PLC0415

    existed = name in labkit.lab_names()
    try:
        _title("A cluster")
        try:
            with progress() as reporter:
                lab = labkit.up(name, progress=reporter)
        except (PreflightError, ComponentError) as error:
            _replay(error, svg)
            return
        show_lab(lab)
        _deploy(lab)
        _flow(lab, svg)
        _page(lab)
    finally:
        if not keep and not existed and name in labkit.lab_names():
            _title("Down")
            with progress() as reporter, reporter.phase("down"):
                down(name)
    if keep or existed:
        console.say(f"\nLab {name} stays up. Remove it: labkit down --name {name}")


def _replay(error: LabkitError, svg: Path) -> None:
    """Show a recording where this machine can run no cluster, and say so."""
    from labkit.cli import flows  # noqa: PLC0415 - costs time that `--help` has not
    from labkit.lab.recorded import DEFAULT  # noqa: PLC0415 - as above

    show(error)
    _title("A recording instead")
    recording = flows.open_recording(DEFAULT)
    found = flows.explain(recording, None, None, -1)
    flows.output(found, as_json=False, as_text=True, svg=svg, html=svg.with_suffix(".html"))


def _title(words: str) -> None:
    console.say(f"\n{words}", "bold")


def _deploy(lab: Lab) -> None:
    _title("Tomcat")
    lab.kubectl(f"delete deployment,service {_APPLICATION} --ignore-not-found")  # of an earlier demo that was kept
    with progress() as reporter:
        console.say(lab.deploy(_APPLICATION, progress=reporter))


def _flow(lab: Lab, svg: Path) -> None:
    from labkit.cli import flows  # noqa: PLC0415 - costs time that `--help` has not

    _title("What happened")
    found = lab.explain(_APPLICATION, action="create")
    flows.output(found, as_json=False, as_text=True, svg=svg, html=svg.with_suffix(".html"))


def _page(lab: Lab) -> None:
    _title("Its page")
    url = lab.open(f"svc/{_APPLICATION}")
    with progress() as reporter, reporter.phase("first page") as phase:
        page = _fetch(url, phase)
    console.say(url)
    for line in _lines_about_pod(page):
        console.say(line)


def _fetch(url: str, phase: Phase) -> str:
    """Return a page's text; a server that has just started may refuse for a moment."""
    import urllib.request  # noqa: PLC0415 - costs time that `--help` has not

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # 127.0.0.1 is behind no proxy
    deadline = time.monotonic() + _PAGE_SECONDS
    while True:
        try:
            with opener.open(url, timeout=_PAGE_SECONDS) as answer:
                return str(answer.read().decode(errors="replace"))
        except OSError as error:  # URLError is one
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{url} does not answer",
                    why=str(getattr(error, "reason", error)),
                    fix=f"labkit kubectl logs deployment/{_APPLICATION}",
                ) from error
            phase.advance(str(getattr(error, "reason", error)))
            time.sleep(0.2)


def _lines_about_pod(page: str) -> list[str]:
    """Return the lines of a page that name its pod, and its title."""
    title = re.findall(r"<title>(.*?)</title>", page, re.DOTALL | re.IGNORECASE)
    plain = [re.sub(r"<[^>]*>", "", line).strip() for line in page.splitlines()]
    return [*title, *(line for line in plain if re.search(rf"\b{_APPLICATION}-\w+-\w+", line))]
