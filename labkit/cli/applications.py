"""Commands for what runs in a lab: deploy, open."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, Name, example, find_lab
from labkit.cli.progress import progress

app = typer.Typer()


@app.command(
    epilog=example("labkit deploy tomcat --image tomcat", "labkit deploy web --image nginx --replicas 3"),
)
def deploy(
    application: Annotated[str, typer.Argument(metavar="NAME", help="Of the deployment and its Service.")],
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="By default NAME.")] = None,
    replicas: Annotated[int, typer.Option(min=0, metavar="N", help="How many pods.")] = 1,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="The application's; by default the image's.")
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Deploy an application and wait for its pods.

    It gets a Service, too, where its port is known.
    """
    lab = find_lab(name)
    with progress() as reporter:
        printed = lab.deploy(application, image=image, replicas=replicas, port=port, progress=reporter)
    console.say(printed)


@app.command("open", epilog=example("labkit open svc/tomcat", "curl $(labkit open svc/tomcat)"))
def open_service(
    target: Annotated[str, typer.Argument(metavar="svc/NAME", help="A Service of namespace default.")],
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Of the Service; by default its first.")
    ] = None,
    local_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Of 127.0.0.1; 0 takes a free one.")
    ] = 0,
    name: Name = DEFAULT_NAME,
) -> None:
    """Print a URL that leads to a Service.

    It is on 127.0.0.1 and works until the lab is stopped.
    """
    console.say(find_lab(name).open(target, port=port, local_port=local_port))
