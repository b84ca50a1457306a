"""A container's own root folder, and what of the node appears in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from labkit.cri.bubblewrap import Bind
from labkit.cri.images import PACKAGE, Image

_FOLDERS = (
    *("dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "run/lock", "srv", "sys", "tmp", "usr", "var"),
    *("usr/local", "usr/local/bin", "usr/local/sbin", "usr/local/lib", "usr/local/share"),
    *("var/cache", "var/lib", "var/log", "var/spool", "var/tmp"),
)
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_USR = (*_LINKS, "libexec", "share")
_ETC = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "mime.types", "protocols", "services", "ssl"),
)
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
    "mysql:x:100:101:MySQL Server:/nonexistent:/bin/false\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nadm:x:4:\ntty:x:5:\nwww-data:x:33:\nshadow:x:42:\nmysql:x:101:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/os-release": 'ID=labkit\nNAME="labkit image"\nPRETTY_NAME="labkit image"\n',
}
TOOLS = "/.labkit"


def create(root: Path, image: Image) -> None:
    """Make a container's root folder: empty but for the skeleton every program expects."""
    root.mkdir(mode=0o755)
    for folder in _FOLDERS:
        (root / folder).mkdir(mode=0o755)
    (root / "root").chmod(0o700)
    (root / "tmp").chmod(0o1777)
    (root / "var/tmp").chmod(0o1777)
    (root / "var/run").symlink_to("../run")
    (root / "var/lock").symlink_to("../run/lock")
    for name, text in _FILES.items():
        (root / name).write_text(text)
    for folder in image.directories:
        (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    if image.root == "host":
        for name in _LINKS:
            if Path("/usr", name).is_dir():
                (root / name).symlink_to(f"usr/{name}")
    else:
        (root / "usr/bin").symlink_to("../bin")
        (root / "sbin").symlink_to("bin")


def binds(image: Image, shared: Path, readonly_binds: tuple[Path, ...]) -> list[Bind]:
    """Return what of the node an image sees, read-only.

    Parameters
    ----------
    image : Image
        What runs.
    shared : Path
        Where `prepare` has put what images without the machine's programs share.
    readonly_binds : tuple of Path
        Where the lab's Python is.
    """
    found = []
    if image.root == "host":
        found += [Bind(f"/usr/{name}", f"/usr/{name}") for name in _USR if Path("/usr", name).is_dir()]
        found += [Bind(f"/etc/{name}", f"/etc/{name}") for name in (*_ETC, *image.etc) if Path("/etc", name).exists()]
    else:
        found += [Bind(str(shared / "applets"), "/bin"), Bind(str(shared / "tools"), TOOLS)]
    if image.python:
        outside = [path for path in readonly_binds if path not in {Path("/usr"), Path("/")}]
        found += [Bind(str(path), str(path)) for path in outside if path.exists()]
    return found + [Bind(source.replace("{labkit}", str(PACKAGE)), target) for target, source in image.binds.items()]


def tool(image: Image, program: str) -> list[str]:
    """Return how to call one of the machine's tools inside a container of an image."""
    if image.root == "host":
        return [f"/usr/bin/{program}"]
    return [f"{TOOLS}/ld.so", "--library-path", TOOLS, f"{TOOLS}/{program}"]


def prepare(shared: Path) -> None:
    """Make what images without the machine's programs share: busybox's applets, setpriv and setsid with libraries."""
    if shared.exists():
        return
    building = shared.with_name(shared.name + ".new")
    shutil.rmtree(building, ignore_errors=True)
    (building / "applets").mkdir(parents=True)
    shutil.copy2("/bin/busybox", building / "applets/busybox")
    listing = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout
    for applet in set(listing.split()) - {"busybox"}:
        (building / "applets" / applet).symlink_to("busybox")
    (building / "tools").mkdir()
    for program in ("setpriv", "setsid"):
        shutil.copy2(f"/usr/bin/{program}", building / "tools" / program)
        for library in _libraries(f"/usr/bin/{program}"):
            name = "ld.so" if Path(library).name.startswith("ld-") else Path(library).name
            shutil.copy2(library, building / "tools" / name)
    building.replace(shared)


def _libraries(program: str) -> list[str]:
    """Return the shared libraries that a program loads, its loader among them, as ldd(1) lists them."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [word for word in listing.split() if word.startswith("/")]
