"""The steps of a deploy to a machine that is reached by SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.deploy.steps.remote.check import RemoteCheckStep, RemoteRoomStep
from personadesk.deploy.steps.remote.install import RemoteInstallStep
from personadesk.deploy.steps.remote.model import RemoteModelStep
from personadesk.deploy.steps.remote.ready import RemoteReadyStep
from personadesk.deploy.steps.remote.site import Sites
from personadesk.deploy.steps.remote.start import RemoteStartStep

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.deploy.step import Step
    from personadesk.domain.progress import StepName
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.store.secrets import Secrets


def remote_steps(hosts: Hosts, secrets: Secrets, bundle_folder: Path) -> dict[StepName, Step]:
    """Return the steps that are others on a host, by name; voice test and line are the same everywhere.

    Args:
        hosts: The machines.
        secrets: Where the model hub's token is kept.
        bundle_folder: Folder of the server's package.
    """
    sites = Sites(hosts, bundle_folder)
    steps: tuple[Step, ...] = (
        RemoteCheckStep(sites),
        RemoteRoomStep(sites),
        RemoteInstallStep(sites),
        RemoteModelStep(sites, secrets),
        RemoteStartStep(sites),
        RemoteReadyStep(sites),
    )
    return {step.name: step for step in steps}


__all__ = ["remote_steps"]
