"""The teacher's view, as a service of the Hub: which lab is up, at which exercise, which checks passed.

Only who may read the Hub's list of users sees it (jupyterhub.readthedocs.io, reference/services).
"""

from __future__ import annotations

import asyncio
import html
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from jupyterhub.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.web import Application, RequestHandler, authenticated

from labkit.classroom.students import Student, look

_REFRESH = 10  # seconds
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:80rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .8rem;border-bottom:1px solid #8886}
td.number{text-align:right;font-variant-numeric:tabular-nums}
"""


def page(students: Sequence[Student], now: datetime) -> str:
    """Return the view as one page, which asks nobody for anything and loads itself again.

    Parameters
    ----------
    students : sequence of Student
        Who.
    now : datetime
        When they were looked at.
    """
    rows = "".join(_row(student) for student in students)
    head = "".join(f'<th scope="col">{text}</th>' for text in ("Student", "Server", "Labs", "Memory", "At", "Checks"))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>The class</title>'
        f'<meta http-equiv="refresh" content="{_REFRESH}"><style>{_STYLE}</style></head><body><h1>The class</h1>'
        f"<p>{len(students)} accounts, {now:%H:%M:%S} UTC. Checks are those that a student lets you see.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></body></html>"
    )


def _row(student: Student) -> str:
    labs = ", ".join(f"{name} {'runs' if runs else 'is stopped'}" for name, runs in student.labs.items()) or "none"
    memory = f"{student.usage.memory / 1e6:.0f} MB" if student.usage else ""
    if student.usage and student.usage.killed:
        memory += f" (limit reached, {student.usage.killed} ended)"
    last = student.checks[-1] if student.checks else None
    place = f"{last.notebook}, {last.time[11:16]}" if last else ""
    checks = f"{student.right} right of {student.tried} tried" if student.checks else ""
    server = f"since {student.server[11:16]}" if student.server else "off"
    name, labs, place = (html.escape(text) for text in (student.name, labs, place))
    return (
        f'<tr><th scope="row">{name}</th><td>{html.escape(server)}</td><td>{labs}</td>'
        f'<td class="number">{memory}</td><td>{place}</td><td>{checks}</td></tr>'
    )


class Overview(HubOAuthenticated, RequestHandler):  # type: ignore[misc]
    """Answers with the view."""

    @authenticated
    async def get(self) -> None:
        """Ask the Hub who there is, as this service, and show them."""
        request = HTTPRequest(
            url_path_join(os.environ["JUPYTERHUB_API_URL"], "users"),
            headers={"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"},
        )
        answer = await AsyncHTTPClient().fetch(request)
        students = await asyncio.to_thread(look, json.loads(answer.body))
        self.write(page(students, datetime.now(UTC)))


async def main() -> None:
    """Serve until the Hub ends this."""
    prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
    place = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    application = Application(
        [(prefix, Overview), (url_path_join(prefix, "oauth_callback"), HubOAuthCallbackHandler)],
        cookie_secret=os.urandom(32),
    )
    application.listen(place.port or 80, address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
