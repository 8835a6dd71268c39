"""What the tests of a processor's own functions share: the functions, in all widths of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from personaplex_server.kernels import machine
from personaplex_server.kernels.machine import Kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

LANES = (4, 8, 16)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_luck() -> None:
    torch.manual_seed(4)


@pytest.fixture(scope="session")
def native() -> Kernels:
    """The functions as a server uses them."""
    made = machine.kernels()
    if made is None:
        pytest.skip("no functions can be made for this processor")
    return made


@pytest.fixture(scope="session", params=LANES, ids=[f"{lanes} lanes" for lanes in LANES])
def anywhere(request: pytest.FixtureRequest, native: Kernels) -> Kernels:
    """The functions as they are written for processors of another width, done by this one's instructions."""
    return native if request.param == native.lanes else Kernels(request.param)


@pytest.fixture
def made(anywhere: Kernels) -> Iterator[Kernels]:
    """The functions that the model's parts use in this test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "_made", lambda: anywhere)
        machine.kernels.cache_clear()
        yield anywhere
    machine.kernels.cache_clear()
