"""The system's own libraries, which no Python package brings: which are missing, and getting them.

On Debian and Ubuntu, as root, they are installed. Everywhere else the one command is named and setting up
goes on, because much works without them (a demo in the terminal needs no Qt).
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from _setup.console import call, say, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

WINDOW = (
    *("libglib2.0-0", "libegl1", "libgl1", "libdbus-1-3", "libfontconfig1", "libxkbcommon0"),
    # Qt's network module links against it.
    "libgssapi-krb5-2",
    *("libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxcb-randr0", "libxcb-shape0"),
    *("libxcb-sync1", "libxcb-xfixes0", "libxkbcommon-x11-0"),
)
"""Debian's names for what Qt needs to show a window (its wheel brings Qt itself)."""

AUDIO = ("libportaudio2",)
"""For a microphone and a loudspeaker; without it the app talks by clip and levels."""

TESTS = ("openssh-server", "xvfb", "xauth")
"""A real SSH daemon to reach machines by, and a display for the tests that want a real window system."""

_ELSEWHERE = {
    "dnf": (
        "dnf install glib2 mesa-libEGL mesa-libGL dbus-libs fontconfig libxkbcommon krb5-libs "
        "xcb-util-cursor xcb-util-wm xcb-util-keysyms libxkbcommon-x11 portaudio"
    ),
    "pacman": (
        "pacman -S --needed glib2 libglvnd dbus fontconfig libxkbcommon krb5 xcb-util-cursor "
        "xcb-util-wm xcb-util-keysyms libxkbcommon-x11 portaudio"
    ),
}
_ELSEWHERE_PROBES = ("EGL", "GL", "fontconfig", "xkbcommon", "xcb-cursor", "portaudio")


def is_debian() -> bool:
    """Tell whether this system installs its packages as Debian and Ubuntu do."""
    return bool(shutil.which("dpkg-query") and shutil.which("apt-get"))


def is_root() -> bool:
    """Tell whether we may install system packages."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def installed_packages(names: Iterable[str]) -> set[str]:
    """Return which of these Debian packages are installed, in one quick question to dpkg."""
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
        check=False,
        capture_output=True,
        text=True,
    )
    pairs = (line.split() for line in asked.stdout.splitlines())
    return {pair[0] for pair in pairs if len(pair) == 2 and pair[1] == "installed"}


def missing_packages(
    wanted: Sequence[str],
    installed: Callable[[Iterable[str]], set[str]] = installed_packages,
) -> list[str]:
    """Return the Debian packages of a list that are not installed, in its order.

    Newer releases renamed libraries whose time type grew (`libglib2.0-0` to `libglib2.0-0t64`), so
    either name will do.
    """
    present = installed([name for base in wanted for name in (base, f"{base}t64")])
    return [name for name in wanted if not {name, f"{name}t64"} & present]


def _offered(name: str) -> str:
    for candidate in (name, f"{name}t64"):
        asked = subprocess.run(
            ["apt-cache", "show", "--quiet=2", candidate], check=False, capture_output=True
        )
        if asked.returncode == 0 and asked.stdout.strip():
            return candidate
    return name


def install_packages(names: Sequence[str]) -> bool:
    """Install Debian packages as root; tell whether that worked."""
    say(f"Installing system packages: {', '.join(names)} …")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
    if call(["apt-get", "update", "--quiet"], env=env) != 0:
        say(
            "The list of system packages could not be refreshed; trying with the one that is there."
        )
    return call([*command, *(_offered(name) for name in names)], env=env) == 0


def install_missing(names: Sequence[str], note: Path) -> None:
    """Install Debian packages as root; when that fails say so, and go on without them.

    Args:
        names: Debian's names.
        note: Where to remember what could not be had, so that not every start tries again.
    """
    if not install_packages(names):
        note.write_text(" ".join(names), encoding="utf-8")
        say(
            "System libraries could not be installed, so the window or the sound may not work. "
            f"Once the system's package sources can be reached: {install_command(names)}"
        )


def given_up(names: Sequence[str], note: Path) -> bool:
    """Tell whether just these packages could not be installed at an earlier start."""
    return note.exists() and note.read_text(encoding="utf-8") == " ".join(names)


def tell_missing(names: Sequence[str]) -> None:
    """Name the command that installs Debian packages, for someone who has to do it by hand."""
    say(
        "System libraries are missing, so the window or the sound may not work. "
        f"To install them: {install_command(names)}"
    )


def window_remedy() -> str:
    """Return a sentence on how to get what Qt needs from this system."""
    if is_debian():
        return f"Install the system's part of it: {install_command(missing_packages(WINDOW) or WINDOW)}."
    return hint_elsewhere() or "Install your system's graphics libraries."


def install_command(names: Sequence[str]) -> str:
    """Return the one command that installs Debian packages, for this user."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    return shown(command if is_root() else ["sudo", *command])


def hint_elsewhere(find: Callable[[str], str | None] = ctypes.util.find_library) -> str:
    """Return a sentence on missing libraries for a Linux that is not Debian's; "" when none is missing."""
    if not sys.platform.startswith("linux") or is_debian():
        return ""
    missing = [name for name in _ELSEWHERE_PROBES if find(name) is None]
    if not missing:
        return ""
    for manager, command in _ELSEWHERE.items():
        if shutil.which(manager):
            prefix = "" if is_root() else "sudo "
            return f"System libraries are missing. To install them: {prefix}{command}"
    files = ", ".join(f"lib{name}" for name in missing)
    return f"Install these system libraries with your system's package manager: {files}."
