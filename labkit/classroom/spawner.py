"""JupyterHub's spawner for a class on one server (jupyterhub.readthedocs.io, reference/spawners)."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Bool, Float, Integer, Unicode

from labkit.classroom.apart import OwnNetwork
from labkit.classroom.limits import ControlGroup
from labkit.cluster import turns
from labkit.node import forward
from labkit.node.process import ProcessIdentity

_PUT_AWAY_SECONDS = 60.0


class LabSpawner(LocalProcessSpawner):  # type: ignore[misc]
    """Starts an account's Jupyter server with a network and a control group of its own; its labs are in both.

    Attributes
    ----------
    create_accounts : bool
        Whether a Unix user is made where there is none of that name.
    log_folder : str
        Where each account's ways into and out of its network write messages.
    put_away_seconds : float
        How long an account's labs may take to be recorded and stopped.
    labs_starting : int
        How many labs may start at the same moment, while the others wait for their turn; 0 lets all of them.
    turns_folder : str
        What they take turns by (`labkit.cluster.turns`).
    """

    create_accounts = Bool(False, help="Make a Unix user, with a home, for whoever logs in first.").tag(config=True)
    log_folder = Unicode("/var/log/labkit-classroom", help="Where each account's ways write messages.").tag(config=True)
    put_away_seconds = Float(
        _PUT_AWAY_SECONDS, help="How long an account's labs may take to be recorded and stopped."
    ).tag(config=True)
    labs_starting = Integer(
        len(os.sched_getaffinity(0)) + 1, help="How many labs may start at the same moment; 0 lets all of them."
    ).tag(config=True)
    turns_folder = Unicode("/run/labkit-turns", help="What the labs that start take turns by.").tag(config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ways: list[ProcessIdentity] = []
        self._stopping = asyncio.Lock()

    @property
    def group(self) -> ControlGroup:
        """The account's control group."""
        return ControlGroup(self.user.name, memory=self.mem_limit, processors=self.cpu_limit)

    @property
    def network(self) -> OwnNetwork:
        """The account's network."""
        return OwnNetwork(self.user.name)

    def get_env(self) -> dict[str, str]:
        """Return the environment of the account's server, and so of the labs that are started in it."""
        return {**super().get_env(), turns.FOLDER_VARIABLE: self.turns_folder}

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """Return what a child does before it becomes its program: still as root, it enters the group."""
        group, home = self.group, pwd.getpwnam(name).pw_dir

        def enter() -> None:
            group.enter()
            os.chdir(home)

        return enter

    def get_state(self) -> dict[str, Any]:
        """Return what a restarted Hub has to know."""
        return {**super().get_state(), "ways": [[way.pid, way.started] for way in self._ways]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take what `get_state` returned."""
        super().load_state(state)
        self._ways = [ProcessIdentity(*way) for way in state.get("ways", [])]

    async def start(self) -> tuple[str, int]:
        """Start the account's server."""
        account = self._account()
        await asyncio.to_thread(self._end, [])  # what a Hub that was killed has left of it
        with forward.listen() as listener:
            self.port = listener.getsockname()[1]
            self._ways = await asyncio.to_thread(self._prepare, listener)
        command: list[str] = self.cmd  # type: ignore[has-type]
        self.cmd = self.network.command(account, command)
        try:
            place: tuple[str, int] = await super().start()
        finally:
            self.cmd = command
        return place

    async def stop(self, now: bool = False) -> None:
        """Put the account's labs away, and end every process of it."""
        async with self._stopping:  # a Hub that ends stops servers that the culler is just stopping
            if self._ways and not now:
                await asyncio.to_thread(self._put_away)
            await super().stop(now=now)
            await asyncio.to_thread(self._end, self._ways)
            self._ways = []

    async def poll(self) -> int | None:
        """Return None while the account's server runs; where it ended by itself, its labs are put away as well."""
        status: int | None = await super().poll()
        # The Hub does not call `stop` for a server that is gone.
        if status is not None and self._ways and not self._stopping.locked():
            self.log.warning("the server of %s has ended by itself", self.user.name)
            await self.stop()
        return status

    def _prepare(self, listener: socket.socket) -> list[ProcessIdentity]:
        """Make the account's control group and network, and the ways into and out of the latter."""
        self.group.make()
        self.network.make()
        turns.make(Path(self.turns_folder), self.labs_starting)
        log = Path(self.log_folder) / f"{self.user.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.network.open_ways(listener, urlsplit(self.hub.api_url).port or 80, log=log)

    def _end(self, ways: Sequence[ProcessIdentity]) -> None:
        """End every process of the account, and remove what was made for them."""
        self.group.end()
        for way in ways:
            way.kill()
        self.network.remove()

    def _account(self) -> pwd.struct_passwd:
        try:
            return pwd.getpwnam(self.user.name)
        except KeyError:
            if not self.create_accounts:
                raise
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", self.user.name], check=True)
        account = pwd.getpwnam(self.user.name)
        Path(account.pw_dir).chmod(0o700)
        return account

    def _put_away(self) -> None:
        """Have the account record and stop its labs, as itself, within its group's bounds."""
        account = pwd.getpwnam(self.user.name)
        command = self.network.command(account, [sys.executable, "-I", "-m", "labkit.classroom.put_away"])
        try:
            done = subprocess.run(
                command,
                env=self.get_env(),
                preexec_fn=self.make_preexec_fn(self.user.name),
                capture_output=True,
                text=True,
                timeout=self.put_away_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.log.warning("the labs of %s were not put away within %g s", self.user.name, self.put_away_seconds)
        else:
            self.log.info("the labs of %s: %s", self.user.name, (done.stdout + done.stderr).strip() or "none")
