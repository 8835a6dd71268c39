"""Leaves out what wants Prism, unless it is asked for."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests with Prism, unless asked for with `-m prism`: it is a large thing to install."""
    if "prism" in (config.getoption("-m") or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("prism")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
