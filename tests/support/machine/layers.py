"""The layers of a host's disk, made once and kept in the user's cache folder.

Three folders, each named by a hash of what it is made of: `base`, by debootstrap; `app` over it, with users,
wheels of everything in requirements.lock and the virtual environment /opt/segue; and `segue` over both,
with this checkout's wheel installed there. One process at a time makes them, in a folder that gets its name
when it is complete. What nobody used for days is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uv
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[3]
SUITE = "bookworm"
PYTHON = "3.11"
MARKED = ("python_version", "python_full_version")
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "nginx-light", "openssh-server", "sudo"),
    *("python3", "python3-venv", "python3-pip", "git", "iproute2", "curl", "procps"),
)
NEEDED = ("debootstrap", "systemd-nspawn", "nsenter", "unshare", "setpriv", "ip", "apt-get", "chroot")
STEP_TIMEOUT = 900.0
KEPT_SECONDS = 3 * 86400

# words: the new root, suite, mirror, packages; in memory, as dpkg waits for the disk at every file
DEBOOTSTRAP = """
mount -t tmpfs -o size=2g segue-lab "$1"
debootstrap --variant=minbase --include="$4" "$2" "$1/root" "$3"
rm -rf "$1"/root/var/cache/apt/archives/*.deb "$1"/root/var/lib/apt/lists/*
cp -a "$1/root" "$1.done"
"""
# words: upper, work, root, lower, and the command for a shell in the new root
CHANGE = """
mount -t overlay -o "lowerdir=$4,upperdir=$1,workdir=$2" segue-lab "$3"
mount -t proc proc "$3/proc"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$3" /bin/sh -euc "$5"
"""
FURNISH = """
useradd --create-home --shell /bin/bash deploy
echo lab >/etc/hostname
echo "127.0.0.1 localhost lab" >/etc/hosts
: >/etc/resolv.conf
mkdir -p /var/log/journal /etc/uv
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  fstrim.timer console-getty.service dev-hugepages.mount sys-fs-fuse-connections.mount
printf '[global]\nno-index = true\nfind-links = /opt/wheels\n' >/etc/pip.conf
printf 'no-index = true\noffline = true\nfind-links = ["/opt/wheels"]\n' >/etc/uv/uv.toml
python3 -m venv --without-pip /opt/segue
python3 -m pip --python /opt/segue/bin/python install --quiet --root-user-action=ignore
"""
INSTALL = "python3 -m pip --python /opt/segue/bin/python install --quiet --root-user-action=ignore --no-deps"


def unfit() -> str:
    """Why there can be no lab on this machine; empty where there can."""
    if os.geteuid() != 0:
        return "it takes root"
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        return f"not installed: {', '.join(missing)}; tests/machine/install.sh installs it"
    # asking apt takes a second
    if not (cache() / base_name()).exists() and mirror() is None:
        return f"apt knows no mirror of {SUITE}"
    return ""


@functools.cache
def mirror() -> str | None:
    """The address of the distribution, as this machine's apt has it."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    argv = ("apt-get", "indextargets", "Created-By: Packages", "--format", form)
    listed = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    lines = [line.split() for line in listed.splitlines()]
    return next((uri for uri, *rest in lines if rest == [SUITE, "main"]), None)


def base_name() -> str:
    """The name of the lowest layer."""
    return f"base-{_hash(SUITE, *PACKAGES, DEBOOTSTRAP)}"


def cache() -> Path:
    """The folder that keeps the layers."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "segue-lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def place() -> Path:
    """An empty folder, for every host to mount its own disk on."""
    folder = cache() / "place"
    folder.mkdir(exist_ok=True)
    return folder


@functools.cache
def layers() -> tuple[Path, ...]:
    """The layers for this checkout, the uppermost first; made where they are missing."""
    with _alone():
        prune()
        wheel = _hash(_read(_sources()), INSTALL)
        lock = "".join(f"{line}\n" for line in for_the_host((CHECKOUT / "requirements.lock").read_text()))
        app_name = f"app-{_hash(base_name(), lock, FURNISH, *_dependencies())}"
        with ThreadPoolExecutor() as pool:
            wheels = pool.submit(
                _layer, f"wheels-{_hash(lock, PYTHON)}", lambda folder: download(folder, lock)
            )
            base = _layer(base_name(), bootstrap)
        app = _layer(app_name, lambda folder: furnish(folder, base, wheels.result()))
        return _layer(f"segue-{_hash(app_name, wheel)}", lambda folder: install(folder, app, base)), app, base


def bootstrap(folder: Path) -> None:
    """Debian's own packages, by debootstrap."""
    root = folder / "base"
    root.mkdir()
    _unshared(DEBOOTSTRAP, root, SUITE, mirror(), ",".join(PACKAGES))
    (folder / "base.done").rename(folder / "made")


def download(folder: Path, lock: str) -> None:
    """The wheels of everything in that lock, for the host's Python."""
    wanted = folder / "wanted.txt"
    wanted.write_text(lock)
    python = Path(sysconfig.get_config_var("BINDIR"), f"python{sys.version_info.major}")
    only = ("--only-binary=:all:", "--python-version", PYTHON, "--require-hashes", "--no-deps")
    _run(
        python, "-m", "pip", "download", "--quiet", *only, "--dest", folder / "made", "--requirement", wanted
    )


def for_the_host(lock: str) -> Iterator[str]:
    """The lines of a lock that are for the host's Python; pip would look at them with its own."""
    for line in lock.replace("\\\n", "").splitlines():
        text, *hashes = line.partition("#")[0].split("--hash=")
        if text.strip() and _is_for_the_host(requirement := Requirement(text)):
            requirement.marker = None
            yield " ".join((str(requirement), *(f"--hash={each.strip()}" for each in hashes)))


def _is_for_the_host(requirement: Requirement) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate(dict.fromkeys(MARKED, PYTHON))


def furnish(folder: Path, base: Path, wheels: Path) -> None:
    """Users, settings, wheels, and /opt/segue with all that segue needs."""
    shutil.copytree(wheels, folder / "made/opt/wheels")
    _change(folder, (base,), f"{FURNISH.rstrip()} {' '.join(_dependencies())}")


def install(folder: Path, *lower: Path) -> None:
    """segue, from the wheel that its build backend makes of the checkout."""
    wheels = folder / "made/opt/wheels"
    wheels.mkdir(parents=True)
    _run(os.fsdecode(uv.find_uv_bin()), "build", "--quiet", "--wheel", "--out-dir", wheels, CHECKOUT)
    (wheels / ".gitignore").unlink(missing_ok=True)
    _change(folder, lower, f"{INSTALL} /opt/wheels/segue-*.whl")


def prune() -> None:
    """Remove what killed processes left half-made, and the layers that nobody uses any more."""
    for folder in cache().glob("*-*"):
        old = folder.stat().st_mtime < time.time() - KEPT_SECONDS
        if folder.name.startswith("new-") or (old and _unused(folder)):
            shutil.rmtree(folder)


def _unused(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _layer(name: str, make: Callable[[Path], None]) -> Path:
    """The layer of that name; `make` leaves it as `made` in the folder that it is given."""
    layer = cache() / name
    if not layer.exists():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="new-", dir=cache()) as folder:
            make(Path(folder))
            Path(folder, "made").rename(layer)
        print(f"lab: made {name} in {time.monotonic() - began:.0f} s", file=sys.stderr)
    os.utime(layer)
    return layer


def _change(folder: Path, lower: Iterable[Path], command: str) -> None:
    """Run a shell's command in a root over `lower`; what it changes is `made`."""
    upper, work, root = (folder / name for name in ("made", "work", "root"))
    for each in (upper, work, root):
        each.mkdir(exist_ok=True)
    _unshared(CHANGE, upper, work, root, ":".join(map(str, lower)), command)


def _unshared(script: str, *words: object) -> None:
    """Run a script whose mounts and processes end with it."""
    alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
    _run(*alone, "/bin/sh", "-euc", script, "lab", *words)


def _run(*words: object) -> None:
    """Run a command with this machine's proxies and certificates; what it says is seen when it fails."""
    argv = [str(word) for word in words]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STEP_TIMEOUT, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"{argv[:4]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )


def _dependencies() -> tuple[str, ...]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return tuple(f"'{dependency}'" for dependency in project["dependencies"])


def _sources() -> list[Path]:
    found = [path for top in ("src", "examples") for path in (CHECKOUT / top).rglob("*") if path.is_file()]
    kept = [path for path in found if "__pycache__" not in path.parts]
    return sorted([*kept, *(CHECKOUT / name for name in ("pyproject.toml", "README.md", "LICENSE"))])


def _read(paths: Iterable[Path]) -> str:
    digests = (
        f"{path.relative_to(CHECKOUT)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths
    )
    return "\n".join(digests)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


if __name__ == "__main__":
    if reason := unfit():
        print(f"lab: no machine tests here: {reason}", file=sys.stderr)
    else:
        layers()
