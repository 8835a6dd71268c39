"""The steps of a deploy to this computer, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.deploy.steps.check import CheckStep
from personadesk.deploy.steps.install import InstallStep
from personadesk.deploy.steps.line import LineStep
from personadesk.deploy.steps.model import ModelStep
from personadesk.deploy.steps.ready import ReadyStep
from personadesk.deploy.steps.room import RoomStep
from personadesk.deploy.steps.start import StartStep
from personadesk.deploy.steps.voice_test import VoiceTestStep

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.deploy.step import Step
    from personadesk.hosts.python_env import Environments


def local_steps(environments: Environments, bundle_folder: Path) -> tuple[Step, ...]:
    """Return the steps for this computer.

    Args:
        environments: Where server environments are made.
        bundle_folder: Folder of the server's package.
    """
    return (
        CheckStep(),
        RoomStep(environments, bundle_folder),
        InstallStep(environments, bundle_folder),
        ModelStep(),
        StartStep(),
        ReadyStep(),
        VoiceTestStep(),
        LineStep(),
    )


__all__ = ["local_steps"]
