"""The side bar: the places, and at its foot how things stand. It shrinks to icons in a narrow window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.icons import icon
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import ElidedLabel, IconLabel, hbox, label, repolish, vbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.ui.shell.pages import PageSpec

__all__ = ["NavigationBar", "StatusLine"]

WIDE, NARROW = 208, 56
SIDE = 9
TARGET = 26
"""The least that is easy to hit."""


class StatusLine(QPushButton):
    """An icon and a short sentence at the foot of the side bar; a click opens the page that says more."""

    def __init__(
        self,
        icon_name: str,
        text: str,
        tone: Role,
        *,
        opens: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """Make it.

        Args:
            icon_name: Its icon.
            text: How it stands.
            tone: The icon's colour.
            opens: Title of the page that a click opens, for the tooltip and assistive technology.
            parent: Where it stands.
        """
        super().__init__(parent)
        self.setProperty("kind", "nav-foot")
        self.setAutoDefault(False)
        self._opens = opens
        row = self._row = hbox(self, gap=8)
        row.setContentsMargins(theme().px(SIDE), 0, theme().px(SIDE), 0)
        self._icon = IconLabel(icon_name, 15, tone)
        self._usual = (icon_name, tone)
        row.addWidget(self._icon)
        self._text = ElidedLabel(text, Type.SMALL, Role.TEXT2)
        row.addWidget(self._text, 1)
        self.set_text(text)

    def set_text(self, text: str, trouble: str = "") -> None:
        """Say how it stands now.

        Args:
            text: The short sentence.
            trouble: The whole sentence where something is not as it should be; the icon then warns.
        """
        self._text.setText(text)
        self._icon.show_icon(*(("warning", Role.WARN) if trouble else self._usual))
        whole = trouble or text
        told = f"{whole} ({self._opens})" if self._opens else whole
        self.setToolTip(told)
        self.setAccessibleName(told)

    def set_narrow(self, narrow: bool) -> None:
        """Show the icon alone; the sentence becomes its tooltip."""
        self._text.setVisible(not narrow)

    def sizeHint(self) -> QSize:
        # A button's own hint knows nothing of the row inside it.
        inside = self._row.sizeHint()
        return QSize(inside.width(), max(inside.height(), theme().px(TARGET)))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._row.minimumSize().width(), self.sizeHint().height())


class NavigationBar(QFrame):
    """Checkable buttons, one a place.

    Signals:
        page_chosen: The user clicked a place (its id).
    """

    page_chosen = Signal(str)

    def __init__(self, specs: Sequence[PageSpec], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "sidebar")
        self.setAccessibleName(tr("Places"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self._narrow = False
        self._buttons: dict[str, QPushButton] = {}
        self._badges: dict[str, int] = {}
        self._specs = {spec.id: spec for spec in specs}
        px = theme().px
        self._column = vbox(self, gap=2)
        self._brand = hbox(gap=10)
        self._logo = IconLabel("logo", 26)
        self._name: QLabel = label("PersonaDesk", Type.CARD_TITLE)
        self._brand.addWidget(self._logo)
        self._brand.addWidget(self._name, 1)
        self._column.addLayout(self._brand)
        self._column.addSpacing(px(16))
        for number, spec in enumerate(specs, 1):
            self._column.addWidget(self._make_button(number, spec))
        self._column.addStretch(1)
        self._status = vbox(gap=2)
        self._column.addLayout(self._status)
        self._lines: list[StatusLine] = []
        self._follow_theme()
        theme().theme_changed.connect(self._follow_theme)

    @property
    def is_narrow(self) -> bool:
        """Whether only icons show."""
        return self._narrow

    def add_status(self, line: StatusLine) -> None:
        """Put a line at the foot."""
        self._lines.append(line)
        self._status.addWidget(line)
        line.set_narrow(self._narrow)

    def set_current(self, page_id: str) -> None:
        """Mark a place as open."""
        # No button group: in one, Tab would reach the open place only, and arrows would open the others.
        for id_, button in self._buttons.items():
            button.setChecked(id_ == page_id)

    def set_badge(self, page_id: str, count: int, spoken: str) -> None:
        """Show a number beside a place; 0 takes it away.

        Args:
            page_id: The place.
            count: How many.
            spoken: What assistive technology says beside the place's name.
        """
        self._badges[page_id] = count
        button = self._buttons[page_id]
        title = tr(self._specs[page_id].title)
        told = f"{title}, {spoken}" if count else title
        button.setAccessibleName(told)
        button.setToolTip(f"{told} (Ctrl+{list(self._specs).index(page_id) + 1})")
        self._write(page_id)

    def button(self, page_id: str) -> QPushButton:
        """Return the button of a place."""
        return self._buttons[page_id]

    def set_narrow(self, narrow: bool) -> None:
        """Show icons alone, or icons with their words."""
        if narrow == self._narrow:
            return
        self._narrow = narrow
        self._follow_theme()

    def _make_button(self, number: int, spec: PageSpec) -> QPushButton:
        title = tr(spec.title)
        button = QPushButton(title)
        button.setProperty("kind", "nav")
        button.setCheckable(True)
        button.setAutoDefault(False)
        button.setAccessibleName(title)
        button.setToolTip(f"{title} (Ctrl+{number})")
        button.clicked.connect(lambda _checked=False, id_=spec.id: self.page_chosen.emit(id_))
        self._buttons[spec.id] = button
        return button

    def _write(self, page_id: str) -> None:
        count = self._badges.get(page_id, 0)
        if self._narrow:
            self._buttons[page_id].setText(str(count) if count else "")
            return
        badge = f"  · {count}" if count else ""
        self._buttons[page_id].setText(f"{tr(self._specs[page_id].title)}{badge}")

    def _follow_theme(self) -> None:
        px = theme().px
        narrow = self._narrow
        self.setFixedWidth(px(NARROW if narrow else WIDE))
        side = px(8 if narrow else 12)
        self._column.setContentsMargins(side, px(16), side + theme().border, px(20))
        # An icon that stands alone in its row is centred by the layout itself.
        self._brand.setContentsMargins(px(0 if narrow else 4), 0, 0, 0)
        self._name.setVisible(not narrow)
        for line in self._lines:
            line.set_narrow(narrow)
        size = px(18)
        trailing = 0 if narrow else px(7)
        for page_id, button in self._buttons.items():
            spec = self._specs[page_id]
            self._write(page_id)
            button.setProperty("narrow", "true" if narrow else "false")
            repolish(button)
            button.setIcon(
                icon(
                    spec.icon,
                    size,
                    Role.TEXT2,
                    checked=Role.ACCENT_TEXT,
                    ratio=self.devicePixelRatioF(),
                    trailing=trailing,
                    disabled=False,
                )
            )
            button.setIconSize(QSize(size + trailing, size))
