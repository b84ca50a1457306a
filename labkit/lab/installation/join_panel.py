"""What the panel of tokens shows and drives: a lab's tokens, and machines that join it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labkit.errors import LabkitError
from labkit.lab.installation.tokens import left
from labkit.widgets.join import JoinSeen, JoinState

if TYPE_CHECKING:
    from labkit.lab.lab import Lab
    from labkit.progress import Progress

# The type of the Secrets that tokens are (k8s.io/cluster-bootstrap/token/api/types.go).
_SECRETS = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"


class LiveTokens:
    """The tokens of a lab, for the panel.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.title = f"lab {lab.name!r}"

    def look(self) -> JoinState:
        """Return the tokens as they are, without their secrets; what cannot be seen is said, and no error."""
        try:
            with self._lab.api_server() as api:
                found = api.get(_SECRETS)
        except LabkitError as error:
            return JoinState((), str(error))
        if found is None:
            return JoinState((), "The API server does not answer.")
        return JoinState(tuple(_seen(each.get("data") or {}) for each in found["items"]))

    def create(self, ttl: str) -> str:
        """Make a token, and return what came of it; its secret stays out of the notebook."""
        made = self._lab.token.create(ttl=ttl)
        return f"Token {made.id} is made: {made.left}. `labkit token list` tells its secret."

    def delete(self, token: str) -> str:
        """Delete a token by its id."""
        return self._lab.token.delete(token)

    def join(self, node: str, token: str, progress: Progress, *, prefix: str) -> JoinSeen:
        """Have a machine join; without a token's id with a new one."""
        chosen = next((each for each in self._lab.token.list() if each.id == token), token or None)
        joined = self._lab.join(node, token=chosen, progress=progress)
        hops = joined.hops()
        return JoinSeen(joined.caption(), joined.to_svg(prefix=prefix), hops.TITLES, hops.rows())


def _seen(data: Mapping[str, Any]) -> tuple[str, str, str]:
    told = {key: base64.b64decode(data.get(key, "")).decode() for key in ("token-id", "expiration", "description")}
    expires = datetime.fromisoformat(told["expiration"]) if told["expiration"] else None
    return (told["token-id"], left(expires, datetime.now(UTC)), told["description"])
