"""A class on one server: settings of JupyterHub, to be run as root. docs/classroom.md explains each."""

import sys

from labkit.classroom.spawner import LabSpawner

c = get_config()  # noqa: F821 - traitlets has it there

# The proxy listens here. Put a web server with a certificate before it, for anybody beyond this machine.
c.JupyterHub.ip = "127.0.0.1"
c.JupyterHub.port = 8000

# Who may log in: the machine's own accounts (PAM). Other authenticators need create_accounts below.
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allow_all = True
c.Authenticator.blocked_users = {"root"}
# Who sees the teacher's view: these, and everybody with a role that has the scope access:services!service=class.
c.Authenticator.admin_users = {"teacher"}

c.JupyterHub.spawner_class = LabSpawner
c.LabSpawner.create_accounts = False
c.LabSpawner.default_url = "/lab"
c.LabSpawner.mem_limit = "1536M"  # a lab, JupyterLab and what a learner deploys
c.LabSpawner.cpu_limit = 2.0
c.LabSpawner.start_timeout = c.LabSpawner.http_timeout = 180  # seconds, not 60 and 30: a whole class logs in at once
c.LabSpawner.environment = {
    "LABKIT_COMPONENTS": "/srv/labkit/components",
    # Go's own variable: a lab takes 60 MB more, and a tenth less of the processors, which a class that starts its labs
    # at the same moment waits for. Leave it out where memory is what is short.
    "GOGC": "100",
}

# Who has been away for half an hour: the labs are recorded and stopped. And the teacher's view.
c.JupyterHub.services = [
    {
        "name": "culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=1800"],
    },
    {
        "name": "class",
        "url": "http://127.0.0.1:10101",
        "command": [sys.executable, "-m", "labkit.classroom.overview"],
        "oauth_no_confirm": True,
    },
]
c.JupyterHub.load_roles = [
    {
        "name": "culler",
        "services": ["culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
    {"name": "class", "services": ["class"], "scopes": ["list:users", "read:users", "read:servers"]},
]
