"""Services that tests open are closed within the test, so that the house's look for left tasks comes after it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personadesk.app import Services, open_services
from personadesk.store.paths import folders

HERE = Path(__file__).parent


class Opener:
    """Opens services on request; everything it opened is stopped and closed by `close`."""

    def __init__(self, **choices: Any) -> None:
        self._choices = choices
        self._opened: list[Services] = []

    async def __call__(self, **choices: Any) -> Services:
        services = await open_services(folders(), **(self._choices | choices))
        self._opened.append(services)
        return services

    async def close(self) -> None:
        """End everything, servers included."""
        for services in self._opened:
            await services.close()
        if self._opened:
            last = await open_services(folders(), serve_lines=False)
            for server in await last.servers.store.all():
                await last.servers.remove(server.id)
            await last.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Wrap tests innermost: first they close what they opened, then the house looks for what is left."""
    for item in items:
        ours = isinstance(item, pytest.Function) and HERE in item.path.parents
        if ours and inspect.iscoroutinefunction(item.obj):  # type: ignore[attr-defined] # a Function
            item.obj = _closing(item.obj)  # type: ignore[attr-defined] # a Function


def _closing(test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    async def closed(*args: Any, **kwargs: Any) -> Any:
        try:
            return await test(*args, **kwargs)
        finally:
            for value in kwargs.values():
                if isinstance(value, Opener):
                    await value.close()

    return closed


@pytest.fixture
def opener() -> type[Opener]:
    """The class of things that open services."""
    return Opener
