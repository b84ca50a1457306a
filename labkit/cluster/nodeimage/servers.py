"""Pod images of the servers that lessons deploy beside Tomcat: PHP, MariaDB and nginx, of Debian's packages.

They are the same programs as those of a rootless lab's images (labkit/cri/images.toml), started by the same scripts.
"""

from __future__ import annotations

import tarfile
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from labkit.cluster.nodeimage import oci
from labkit.cluster.nodeimage.oci import Image, Layer

PACKAGES = ("mariadb-client-core", "mariadb-server-core", "nginx-light", "php8.2-cli", "php8.2-mysql")
_SUPERFLUOUS = (
    "etc/nginx/nginx.conf",  # the script that starts it writes one
    "etc/nginx/sites-*",
    "usr/bin/innochecksum",
    "usr/bin/mariadb-check",
    "usr/bin/mariadb-upgrade",
    "usr/bin/resolveip",
    "usr/lib/file",  # what PHP's fileinfo knows files by
    "usr/lib/php/*/fileinfo.so",
    "usr/lib/php/*/opcache.so",  # one process would not gain by it
    "usr/lib/*/libicui18n.so*",
    "usr/lib/*/libicuio.so*",
    "usr/lib/*/libicutest.so*",
    "usr/lib/*/libicutu.so*",
    "usr/share/gcc",
    "usr/share/vim",
    "usr/share/zoneinfo",
)
#: Removes what the servers never read, by mmdebstrap: also MariaDB's messages in other languages.
ALONE = (
    f'--extract-hook=cd "$1" && rm -rf {" ".join(_SUPERFLUOUS)} && '
    "find usr/share/mysql -mindepth 2 -name errmsg.sys ! -path '*/english/*' -delete"
)
#: PHP's own, in the order in which they need one another; Debian's package would choose them when it is configured.
_EXTENSIONS = ("mysqlnd", "pdo", "ctype", "mysqli", "pdo_mysql", "posix", "tokenizer")
#: All one nginx: a rolling update needs two names.
_NGINX_TAGS = ("latest", "1.27", "1.28")
#: The scripts that start what a rootless lab has images of, and a node image, too.
ENTRYPOINTS: Traversable = resources.files("labkit.cri") / "entrypoints"
_ENTRYPOINT = "usr/local/bin/entrypoint"


def images(below: tuple[Layer, ...], packages: Path, tools: Path, path: str, folder: Path) -> list[Image]:
    """Return the images, packed.

    Parameters
    ----------
    below : tuple of Layer
        A shell, and Debian's files of `tools`.
    packages, tools : Path
        Tar files of the packages `PACKAGES`, and of what is in the layers below already.
    path : str
        The variable `PATH`.
    folder : Path
        Gets the layers.
    """
    layers = (*below, oci.pack_rest(folder / "servers.tar.zst", packages, tools, level=oci.SMALLEST))
    own = oci.pack(folder / "servers-own.tar.zst", _own)
    return [
        _image(
            ("php:latest",),
            (*layers, own),
            path,
            80,
            {
                "Entrypoint": ["/usr/bin/php8.2"],
                "Cmd": ["-S", "0.0.0.0:80", "-t", "/var/www/html"],
                "WorkingDir": "/var/www/html",
                "StopSignal": "SIGINT",
            },
        ),
        _image(
            ("mysql:latest", "mysql:8", "mariadb:latest"),
            (*layers, own, _script(folder, "mariadb.sh")),
            path,
            3306,
            {"Entrypoint": [f"/{_ENTRYPOINT}"], "Cmd": ["mariadbd"]},
        ),
        _image(
            tuple(f"nginx:{tag}" for tag in _NGINX_TAGS),
            (*layers, own, _script(folder, "nginx.sh")),
            path,
            80,
            {
                "Entrypoint": [f"/{_ENTRYPOINT}"],
                "Cmd": ["nginx", "-g", "daemon off;"],
                "StopSignal": "SIGQUIT",
            },
        ),
    ]


def _image(names: tuple[str, ...], layers: tuple[Layer, ...], path: str, port: int, config: dict[str, object]) -> Image:
    settings = {"Env": [f"PATH={path}"], "ExposedPorts": {f"{port}/tcp": {}}}
    return Image(tuple(f"docker.io/library/{name}" for name in names), layers, {**settings, **config})


def _own(archive: tarfile.TarFile) -> None:
    """Add what Debian's packages have only once they are configured."""
    oci.add_text(archive, "root:x:0:0:root:/root:/bin/sh\n", "etc/passwd", 0o644)
    oci.add_text(archive, "root:x:0:\n", "etc/group", 0o644)
    extensions = "".join(f"extension={name}\n" for name in _EXTENSIONS)
    oci.add_text(archive, extensions, "etc/php/8.2/cli/conf.d/10-labkit.ini", 0o644)
    oci.add_link(archive, "usr/bin/php", "php8.2")
    folders = ["var/www/html", "var/lib/php/sessions", "var/lib/mysql", "run/mysqld"]
    folders += ["etc/nginx/conf.d", "var/log/nginx", "var/lib/nginx"]
    for folder in folders:
        oci.add_folder(archive, folder, 0o755)


def _script(folder: Path, name: str) -> Layer:
    script = (ENTRYPOINTS / name).read_text("utf-8")
    return oci.pack(folder / f"{name}.tar.zst", lambda archive: oci.add_text(archive, script, _ENTRYPOINT))
