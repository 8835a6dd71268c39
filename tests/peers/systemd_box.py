"""A small machine with a real systemd as process 1: namespaces of its own over a copy-on-write view of this system.

It shares the network with the tests, so that its sshd is reached on loopback, and nothing else that could be changed:
`/tmp`, `/run`, `/dev` and the folder of units are its own, `/sys` and `/proc/sys` are read-only, and clock, modules
and devices are out of its reach. What it writes elsewhere lies in its own folder, which must not be below `/tmp`
when it is to be seen from inside. It wants root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
CGROUP = next(
    (path for path in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
     if (path / "cgroup.procs").exists() and (path / "cgroup.controllers").exists()),
    None,
)  # fmt: skip
STOP_SECONDS = 20.0

_INSIDE = r"""
set -e
base=$1
root=$base/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t tmpfs tmpfs "$root/dev" -o mode=755
for each in null zero full random urandom tty; do
    : > "$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666,mode=620
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/sys" -o mode=755
mkdir -p "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -o remount,ro "$root/sys"
mount -t tmpfs tmpfs "$root/run" -o mode=755
mount -t tmpfs tmpfs "$root/tmp" -o mode=1777
mkdir -p "$base/units" "$root/etc/systemd/system"
mount --bind "$base/units" "$root/etc/systemd/system"
mount --make-rprivate /
cd "$root"
pivot_root . mnt
umount -l /mnt
exec setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-mknod,-syslog env -i container=box LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin /lib/systemd/systemd --system
"""


def missing() -> str:
    """Return why no such machine can be made here; "" when one can."""
    if os.geteuid() != 0:
        return "it takes root"
    if not SYSTEMD.exists() or CGROUP is None:
        return "there is no systemd or no unified cgroup hierarchy"
    lacking = [name for name in ("unshare", "setpriv", "pivot_root") if shutil.which(name) is None]
    return f"{', '.join(lacking)} is not installed" if lacking else ""


@dataclass
class SystemdBox:
    """One machine.

    Attributes:
        folder: Everything that it writes; kept over a restart of the machine.
        units: Its own units by file name; those of the system's administrator are not seen.
    """

    folder: Path
    units: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what was written before is still there."""
        for name in ("upper", "work", "root", "units/multi-user.target.wants"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in self.units.items():
            (self.folder / "units" / name).write_text(text)
            wanted = self.folder / "units/multi-user.target.wants" / name
            if not wanted.is_symlink():
                wanted.symlink_to(f"../{name}")
        (self.folder / "units" / "default.target").unlink(missing_ok=True)
        (self.folder / "units" / "default.target").symlink_to(
            "/lib/systemd/system/multi-user.target"
        )
        inside = self.folder / "inside.sh"
        inside.write_text(_INSIDE)
        group = self._group()
        group.mkdir(exist_ok=True)
        with (self.folder / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "/bin/sh", "-c",
                    'echo $$ > "$1/cgroup.procs" && exec unshare --pid --fork --mount --uts --ipc --cgroup '
                    '--kill-child --propagation private /bin/sh "$2" "$3"',
                    "sh", str(group), str(inside), str(self.folder),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """Pull its plug: everything in it ends at once."""
        if self._process is None:
            return
        for pid in _children(self._process.pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self._process = None
        until = time.monotonic() + STOP_SECONDS
        while self._group().exists() and time.monotonic() < until:
            for folder, _, _ in os.walk(self._group(), topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            time.sleep(0.05)

    def restart(self) -> None:
        """Restart the machine."""
        self.stop()
        self.start()

    def _group(self) -> Path:
        assert CGROUP is not None
        return CGROUP / f"pd-box-{self.folder.name}"


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
