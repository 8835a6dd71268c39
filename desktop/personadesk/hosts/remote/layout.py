"""Where everything of ours lies on a host: one folder, so that uninstalling is removing it.

~/.personadesk/
  package/KEY/     what was pushed: the wheel, its locked needs, our helper scripts
  versions/KEY/    one environment a version; whole when it holds complete.json
  current          link to the version that runs
  models/          model folders
  voices/          voices that were brought, for every server there; they outlive each
  servers/ID/      one voice server: its command, state and log
  jobs/NAME/       long commands that outlive a connection: script, log, exit status
  lock             who works on this host now, and since when
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personadesk.hosts.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths on a host.

    Attributes:
        folder: The one folder, absolute.
    """

    folder: str

    @property
    def current(self) -> str:
        """Link to the version that runs."""
        return f"{self.folder}/current"

    @property
    def python(self) -> str:
        """The Python of the version that runs."""
        return f"{self.current}/bin/python"

    @property
    def models(self) -> str:
        """Model folders."""
        return f"{self.folder}/models"

    @property
    def voices(self) -> str:
        """Voices that were brought."""
        return f"{self.folder}/voices"

    def package(self, key: str) -> str:
        """What was pushed of a version."""
        return f"{self.folder}/package/{key}"

    def version(self, key: str) -> str:
        """A version's environment."""
        return f"{self.folder}/versions/{key}"

    def server(self, server_id: str) -> str:
        """A voice server's folder."""
        return f"{self.folder}/servers/{server_id}"

    def job(self, name: str) -> str:
        """A long command's folder."""
        return f"{self.folder}/jobs/{name}"


def key_of(bundle: Bundle) -> str:
    """Return the name of a package's version on hosts."""
    return f"{bundle.version}-{bundle.sha256[:8]}-{bundle.requirements_sha256[:4]}"
