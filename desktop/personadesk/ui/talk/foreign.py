"""The voice servers of others in the window: which were kept, and what becomes of keeping one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.text import T
from personadesk.ui.messages import Message, Severity, bus
from personadesk.ui.spawn import spawn
from personadesk.ui.talk.call import Partner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.app import Services
    from personadesk.voice.foreign import ForeignServers

    Told = Callable[[PersonaDeskError | None], None]

__all__ = ["Foreign"]


class Foreign(QObject):
    """Those that were kept. Their tokens are read for one call at a time and never held here.

    Signals:
        changed: There is another one, one less, or one has another token (its name, "" for several).

    Attributes:
        partners: As those that can be talked to.
    """

    changed = Signal(str)

    def __init__(
        self, ready: Callable[[], Awaitable[Services]], parent: QObject | None = None
    ) -> None:
        """Know none yet.

        Args:
            ready: Gives the services once they are open.
        """
        super().__init__(parent)
        self._ready = ready
        self.partners: tuple[Partner, ...] = ()

    def load(self) -> None:
        """Read which were kept."""
        spawn(self._load(), "read the servers of others", owner=self)

    def add(self, address: str, name: str, token: str, told: Told) -> None:
        """Keep a server; `told` hears None once it is kept, or why it is not."""

        async def work() -> str:
            server, kept = await (await self._servers()).add(address, name, token)
            return await self._after(server.name, kept=kept)

        self._do(work(), "keep a server", told)

    def give_token(self, name: str, token: str, told: Told) -> None:
        """Keep another token for a server, "" for none; `told` as for `add`."""

        async def work() -> str:
            return await self._after(
                name, kept=await (await self._servers()).give_token(name, token)
            )

        self._do(work(), "keep a server's token", told)

    def forget(self, name: str) -> None:
        """Forget a server and its token."""

        async def work() -> None:
            await (await self._servers()).forget(name)
            await self._load()

        spawn(work(), "forget a server", owner=self)

    async def token_for(self, url: str) -> str | None:
        """Return what the server at an address asks for; None for any that is not kept here."""
        return await (await self._servers()).token_for(url)

    async def _servers(self) -> ForeignServers:
        return (await self._ready()).foreign

    async def _load(self, name: str = "") -> None:
        self.partners = tuple(
            Partner(each.name, each.url, server=each.url, foreign=True)
            for each in await (await self._servers()).all()
        )
        self.changed.emit(name)

    async def _after(self, name: str, *, kept: bool) -> str:
        if not kept:
            bus().post(
                Message(
                    Severity.WARNING,
                    T("This computer has no keyring: the token is forgotten when you quit."),
                )
            )
        await self._load(name)
        return name

    def _do(self, work: Any, name: str, told: Told) -> None:
        def failed(error: Exception) -> None:
            if not isinstance(error, PersonaDeskError):
                raise error
            told(error)

        spawn(work, name, owner=self, done=lambda _name: told(None), failed=failed)
