"""The Lines page in its states and its dialogs, made of sample data."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt

from personadesk.deploy.rented.standby import Quote
from personadesk.domain.access import Access
from personadesk.domain.errors import HostUnfit
from personadesk.domain.guarding import Deed
from personadesk.domain.hours import parse
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.plan import LOCAL, RENT, ModelChoice, ModelKind, RentWish
from personadesk.domain.text import T
from personadesk.domain.wish import ANY_SPARE, Place, Rest, Wish
from personadesk.lines.autostart import Autostart
from personadesk.lines.outside import Told
from personadesk.lines.spares import Standing
from personadesk.store.wishes import Entry
from personadesk.ui.lines import words
from personadesk.ui.lines.model import LineFacts, LinesModel
from personadesk.ui.lines.page import LinesPage
from personadesk.ui.lines.questions import MoveDialog, NewLineDialog, OutsideDialog, PortDialog

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QDialog

    from personadesk.ui.shell import Page

__all__ = ["ENTRIES", "LINES", "LINES_SCENES", "PLACES", "lines_model"]

STUDIO = Place("host:studio")
CLOUD = Place(RENT, RentWish(account="Lambda", max_price=0.9))
PLACES = (
    Place(LOCAL),
    STUDIO,
    Place(RENT, RentWish(account="Lambda")),
    Place(RENT, RentWish(account="RunPod")),
)
NOW = time.time()


def _entry(ago: float, deed: Deed, why: Any, place: str = "account:Lambda", **more: Any) -> Entry:
    return Entry("Front desk", NOW - ago, deed, place, why, **({"worked": True} | more))


ENTRIES = (
    _entry(9000, Deed.START, T("Its hours begin at {time}.", time="08:30"), seconds=40),
    _entry(8900, Deed.NOTHING, T("The voice answers.")),
    _entry(
        4000,
        Deed.RESTART_SERVICE,
        T("The server says that it is well, and does not answer a call."),
    ),
    _entry(3900, Deed.END_MACHINE, T("The provider says that the machine is broken.")),
    _entry(
        3600,
        Deed.DEPLOY,
        T("Nothing stands behind the line."),
        worked=False,
        outcome="Lambda has no A10 free in us-west-1 now.",
    ),
    _entry(3000, Deed.DEPLOY, T("Nothing stands behind the line."), "host:studio", seconds=400),
    _entry(2900, Deed.NOTHING, T("The voice answers."), "host:studio"),
)
SPARE_ENTRIES = (
    _entry(9000, Deed.MAKE_SPARE, T("The line has no spare."), "account:RunPod", seconds=240),
    _entry(8990, Deed.SPARE_READY, T("The spare answers."), "account:RunPod"),
    _entry(
        700, Deed.SWITCH,
        T("{why} Its spare takes over.", why=T("The machine is not reached.")), "account:RunPod",
    ),
    _entry(650, Deed.NOTHING, T("The voice answers."), "account:RunPod"),
    _entry(600, Deed.END_SPARE, T("The rented machine is gone."), "account:Lambda"),
    _entry(590, Deed.NO_SPARE, T("What is left in the budgets is for the line itself.")),
)  # fmt: skip

_WISH = Wish(
    "Front desk", ModelChoice(ModelKind.PERSONAPLEX_7B), (CLOUD, STUDIO), max_price=0.9,
    hours=parse("mon-fri 08:30-18:00; sat 22:00-02:00", "Europe/Amsterdam"),
)  # fmt: skip
_LINE = Line(
    "Front desk", 8998, Target("ws://127.0.0.1:41873/api/chat", "pd-1"), LineState.UP, NOW - 2900
)
_OUTSIDE = Told(
    Access("0.0.0.0", 9998), ("wss://192.168.1.20:9998/api/chat",), "Zk3-a-token-that-is-shown-masked-9fQ",  # noqa: S104
    ":".join(f"{number * 7 % 256:02X}" for number in range(32)),
)  # fmt: skip

LINES = (
    LineFacts(_LINE, _WISH, "host:studio", ENTRIES, _OUTSIDE, calls=2),
    LineFacts(
        Line("Museum guide", 9001, Target("ws://127.0.0.1:41874/api/chat", "pd-2"), LineState.STOPPED, NOW - 40_000,
             T("Nobody called for {time}.", time="20 min")),
        replace(_WISH, line="Museum guide", hours=None, rest=Rest.ASLEEP, places=(Place(LOCAL),)), LOCAL,
    ),
    LineFacts(
        Line("Support demo", 9002, Target("ws://127.0.0.1:41875/api/chat", "pd-3"), LineState.FAILED, NOW - 300,
             T("The voice server does not run any more. Start the line again.")),
        replace(_WISH, line="Support demo", hours=parse("always", "UTC"), spare=ANY_SPARE), "account:Lambda",
        SPARE_ENTRIES,
        spare=Standing("pd-4", "account:RunPod", making=False, answers=True),
    ),
)  # fmt: skip


def lines_model(*lines: LineFacts, background: bool = False) -> LinesModel:
    """Return a model that shows lines and asks nobody."""

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    model = LinesModel(never, never)
    model.lines, model.places, model.zone = lines, PLACES, "Europe/Amsterdam"
    model.background = {"pid": 4321, "lines": {}} if background else None
    model.autostart = Autostart("systemd", installed=background, running=True, at_boot=True)
    model.watch = lambda _watching: None  # type: ignore[method-assign] # nothing to follow

    def quote(wish: Wish) -> None:
        model.quoted.emit(wish, words.quote(Quote(wish.places[0], 0.75, wish.max_price)))

    model.ask_spare = quote  # type: ignore[method-assign] # no account is asked
    return model


def _page(*lines: LineFacts, background: bool = False, chosen: str = "") -> LinesPage:
    model = lines_model(*lines, background=background)
    page = LinesPage(model)
    model.setParent(page)
    if chosen:
        page.choose(chosen)
    return page


def _refused() -> Page:
    page = _page(*LINES[:1])
    page._refuse(
        HostUnfit(
            T("This computer has no service manager that could start the lines."),
            T("Start them yourself: personadesk line serve. For a server and a container see docs/lines.md."),
        )
    )  # fmt: skip
    return page


def _dialog(which: str) -> Page:
    """Return the page with a dialog below it, where the picture has it; it is a window of its own in the program."""
    page = _page()
    made: dict[str, Callable[[], QDialog]] = {
        "new": lambda: NewLineDialog(page, ["Front desk"], PLACES),
        "move": lambda: MoveDialog(
            page, "Front desk", "host:studio", [CLOUD, STUDIO, Place(LOCAL)]
        ),
        "outside": lambda: OutsideDialog(page, _LINE, _OUTSIDE.access),
        "port": lambda: PortDialog(page, _LINE, 2),
    }
    dialog = made[which]()
    dialog.setWindowFlags(Qt.WindowType.Widget)
    layout = page.layout()
    if layout is None:
        raise ValueError("the page has no layout")
    layout.addWidget(dialog)
    return page


LINES_SCENES: dict[str, Callable[[], Page]] = {
    "lines": lambda: _page(*LINES, background=True),
    "lines-asleep": lambda: _page(*LINES, chosen="Museum guide"),
    "lines-spare": lambda: _page(*LINES, chosen="Support demo"),
    "lines-empty": _page,
    "lines-refused": _refused,
    **{f"lines-{which}": partial(_dialog, which) for which in ("new", "move", "outside", "port")},
}
