"""Commands for a lab's certificates and static pods: certs, certs renew, static-pods."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, Name, example, find_lab

app = typer.Typer()
_certs = typer.Typer(
    invoke_without_command=True,
    help="The certificates: who signed whom, until when; renew.",
    epilog=example("labkit certs", "labkit certs --json", "labkit certs renew apiserver"),
)
app.add_typer(_certs, name="certs")
_Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def _complete_renewable(incomplete: str) -> list[str]:
    from labkit.lab.installation.renewal import RENEWABLE  # noqa: PLC0415 - costs time that `--help` has not

    return [name for name in RENEWABLE if name.startswith(incomplete)]


@_certs.callback()
def certs(context: typer.Context, as_json: _Json = False, name: Name = DEFAULT_NAME) -> None:
    """Show the certificates, or renew one."""
    if context.invoked_subcommand:
        return
    found = find_lab(name).certificates.read()
    if as_json:
        console.print_json([each.to_json() for each in found.found])
        return
    console.say(found.caption())
    console.table([title.upper() for title in found.TITLES], found.rows(), right={"DAYS"})


@_certs.command(epilog=example("labkit certs renew apiserver", "labkit certs renew scheduler.conf"))
def renew(
    certificate: Annotated[
        str, typer.Argument(metavar="CERTIFICATE", help="kubeadm's name of it.", autocompletion=_complete_renewable)
    ],
    name: Name = DEFAULT_NAME,
) -> None:
    """Renew a certificate by kubeadm, and start anew who holds it."""
    found = find_lab(name).certificates.renew(certificate)
    console.say(found.caption())
    console.table([title.upper() for title in found.TITLES], found.rows())


@app.command("static-pods", epilog=example("labkit static-pods", "labkit static-pods --json"))
def static_pods(as_json: _Json = False, name: Name = DEFAULT_NAME) -> None:
    """Show the static pods: manifest, process, mirror pod."""
    found = find_lab(name).static_pods.read()
    if as_json:
        console.print_json([each.to_json() for each in found.found])
        return
    console.say(found.caption())
    console.table([title.upper() for title in found.TITLES], found.rows())
