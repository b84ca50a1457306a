"""A class on one server: JupyterHub gives each account a lab of its own, apart from all others.

Each account's processes are those of a Unix user of that name, in a network namespace of its own (nobody else's
127.0.0.1 leads to its API server or to its pages) and in a control group that bounds memory and processors and ends
them all. See docs/classroom.md.
"""
