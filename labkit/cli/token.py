"""Commands about joining: token create, token list, token delete, token join-command, token ca-hash, and join."""

from __future__ import annotations

from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.options import DEFAULT_NAME, Name, example, find_lab
from labkit.cli.progress import progress

app = typer.Typer()
_token = typer.Typer(
    no_args_is_help=True,
    help="Bootstrap tokens: what a machine needs to join.",
    epilog=example("labkit token create --ttl 10m", "labkit token list"),
)
app.add_typer(_token, name="token")

_Ttl = Annotated[str, typer.Option("--ttl", metavar="DURATION", help="How long it lives, as 2h30m; 0 for ever.")]
_DAY = "24h"


@_token.command(epilog=example("labkit token create", "labkit token create --ttl 0"))
def create(
    token: Annotated[str, typer.Argument(metavar="[TOKEN]", help="The token; by default one is drawn by lot.")] = "",
    ttl: _Ttl = _DAY,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    name: Name = DEFAULT_NAME,
) -> None:
    """Make a token, and print it."""
    console.say(str(find_lab(name).token.create(token=token, ttl=ttl, description=description)))


@_token.command("list", epilog=example("labkit token list"))
def list_tokens(name: Name = DEFAULT_NAME) -> None:
    """Show the tokens, and what is left of each."""
    from labkit.lab.installation.tokens import HEADINGS  # noqa: PLC0415 - costs time that `--help` has not

    console.table([each.upper() for each in HEADINGS], find_lab(name).token.list().rows())


@_token.command(epilog=example("labkit token delete abcdef"))
def delete(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="It, or its id.")], name: Name = DEFAULT_NAME
) -> None:
    """Delete a token; who has joined with it stays."""
    console.say(find_lab(name).token.delete(token))


@_token.command("join-command", epilog=example("labkit token join-command"))
def join_command(ttl: _Ttl = _DAY, name: Name = DEFAULT_NAME) -> None:
    """Make a token, and print the command that a machine joins with.

    A machine of a lab has no swap to turn off and a container runtime of its own: the options for that stand on a line
    of their own. To run it by hand: labkit node prepare node-03, then labkit node shell node-03.
    """
    token = find_lab(name).token
    printed = token.print_join_command(ttl=ttl)
    print(f"{printed.rstrip()} \\\n    {token.join_options}")


@_token.command("ca-hash", epilog=example("labkit token ca-hash"))
def ca_hash(name: Name = DEFAULT_NAME) -> None:
    """Show how the hash of the CA is computed."""
    console.say(repr(find_lab(name).token.ca_hash()))


@app.command(epilog=example("labkit join node-03", "labkit join node-03 --token abcdef.0123456789abcdef"))
def join(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Which machine; it is prepared if need be.")],
    token: Annotated[str | None, typer.Option("--token", metavar="TOKEN", help="By default a new one.")] = None,
    ca_hash: Annotated[
        str | None, typer.Option("--ca-hash", metavar="HASH", help="sha256:…; by default the right one.")
    ] = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """Have a machine join, and show how.

    The machine is prepared if there is none of that name.
    """
    lab = find_lab(name)
    with progress() as reporter:
        joined = lab.join(node, token=token, ca_hash=ca_hash, progress=reporter)
    console.say(joined.caption())
    console.table([each.upper() for each in joined.TITLES], joined.rows())
