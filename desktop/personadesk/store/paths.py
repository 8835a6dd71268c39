"""Where PersonaDesk keeps its files; `PERSONADESK_HOME` moves all of it to one place, a rehearsal has its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HOME_VARIABLE = "PERSONADESK_HOME"
REHEARSAL_VARIABLE = "PERSONADESK_REHEARSAL"
"""When it is set and not 0, all is a rehearsal with pretend providers, in folders of its own."""
REHEARSAL = "rehearsal"


@dataclass(frozen=True, slots=True)
class Folders:
    """The four folders, made on request.

    Attributes:
        config: Settings.
        data: What must not be lost: the journal, models, reports.
        state: What belongs to running things: servers, logs, window geometry.
        cache: What can be made again: environments, downloads.
    """

    config: Path
    data: Path
    state: Path
    cache: Path

    @property
    def vault(self) -> Path:
        """The file with secrets on a computer without a keyring."""
        return self.data / "secrets.vault"

    def make(self) -> Folders:
        """Make the folders, readable by their owner alone, and return self."""
        for folder in (self.config, self.data, self.state, self.cache):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self


def rehearsing() -> bool:
    """Whether this process rehearses."""
    return os.environ.get(REHEARSAL_VARIABLE, "") not in {"", "0"}


def folders() -> Folders:
    """Return the folders for this user, or below `PERSONADESK_HOME` when that is set; a rehearsal's lie within them."""
    found = _folders()
    if not rehearsing():
        return found
    parts = (found.config, found.data, found.state, found.cache)
    return Folders(*(part / REHEARSAL for part in parts))


def _folders() -> Folders:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        base = Path(home).expanduser().absolute()
        return Folders(base / "config", base / "data", base / "state", base / "cache")
    dirs = platformdirs.PlatformDirs("personadesk", appauthor=False)
    return Folders(
        Path(dirs.user_config_path),
        Path(dirs.user_data_path),
        Path(dirs.user_state_path),
        Path(dirs.user_cache_path),
    )
