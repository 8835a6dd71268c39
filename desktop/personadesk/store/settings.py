"""Declared settings in a readable file. Secrets never enter it.

To add one: declare it below with its default and sentences; nothing else. Unknown keys in the file are kept.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

V = TypeVar("V", str, int, bool)


@dataclass(frozen=True, slots=True)
class Setting(Generic[V]):
    """One declared setting.

    Attributes:
        key: Its name in the file.
        default: Used while nothing else was chosen; its type is the setting's type.
        title: How it is called in the window.
        description: What it does, one sentence.
        since: Version that brought it.
        choices: Allowed values; empty allows all of the type.
    """

    key: str
    default: V
    title: Text
    description: Text
    since: str
    choices: tuple[V, ...] = ()

    def fits(self, value: object) -> bool:
        """Whether a value may be stored."""
        if type(value) is not type(self.default):
            return False
        return not self.choices or value in self.choices


LANGUAGE: Setting[str] = Setting(
    "language", "system", T("Language"), T("The language of the window and the terminal."), "0.1",
    ("system", "en", "nl"),
)  # fmt: skip
LOOK: Setting[str] = Setting(
    "look", "system", T("Look"), T("Light, dark or high contrast."), "0.1",
    ("system", "light", "dark", "contrast"),
)  # fmt: skip
TEXT_SIZE: Setting[int] = Setting(
    "text_size", 100, T("Text size"), T("Percent of the system's text size."), "0.1",
    (100, 125, 150, 175, 200),
)  # fmt: skip
REDUCED_MOTION: Setting[bool] = Setting(
    "reduced_motion", False, T("Reduce motion"), T("Keep pictures and meters still where possible."),
    "0.1",
)  # fmt: skip
CLOSING: Setting[str] = Setting(
    "closing", "ask", T("When the window closes"),
    T("What becomes of the lines: ask, keep them in the background, or stop them."), "0.1",
    ("ask", "background", "stop"),
)  # fmt: skip
WEBHOOK: Setting[bool] = Setting(
    "alarm_webhook", False, T("Alarms to a webhook"),
    T("Send alarms to the address that the keyring holds; see personadesk metrics webhook."), "0.1",
)  # fmt: skip
MICROPHONE: Setting[str] = Setting(
    "microphone", "", T("Microphone"),
    T("Taken for calls, by name: empty for the usual one, clip for the built-in clip."), "0.1",
)  # fmt: skip
SPEAKER: Setting[str] = Setting(
    "speaker", "", T("Speaker"),
    T("Taken for calls, by name: empty for the usual one, none for silence."), "0.1",
)  # fmt: skip
VOLUME: Setting[int] = Setting(
    "volume", 100, T("Volume"), T("How loud the voice is in a call, percent."), "0.1",
    tuple(range(101)),
)  # fmt: skip
HEADPHONES: Setting[bool] = Setting(
    "headphones", False, T("I wear headphones"), T("Gives no advice against echo."), "0.1",
)  # fmt: skip
HALF_DUPLEX: Setting[bool] = Setting(
    "half_duplex", False, T("Mute me while it speaks"), T("For loudspeakers without headphones."),
    "0.1",
)  # fmt: skip
PUSH_TO_TALK: Setting[bool] = Setting(
    "push_to_talk", False, T("Push to talk: hold Space"),
    T("You are heard only while the key is held."), "0.1",
)  # fmt: skip

SETTINGS: tuple[Setting[str] | Setting[int] | Setting[bool], ...] = (
    LANGUAGE, LOOK, TEXT_SIZE, REDUCED_MOTION, CLOSING, WEBHOOK, MICROPHONE, SPEAKER, VOLUME,
    HEADPHONES, HALF_DUPLEX, PUSH_TO_TALK,
)  # fmt: skip


def peek(path: Path, setting: Setting[V]) -> V:
    """Return one chosen value of a file, or the default where there is none.

    A file that cannot be read is left as it is: whoever opens the settings sets it aside, and tells so.
    """
    try:
        written = path.read_bytes()
    except OSError:
        return setting.default
    import tomllib

    try:
        value = tomllib.loads(written.decode()).get(setting.key)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return setting.default
    return cast("V", value) if setting.fits(value) else setting.default


class Settings:
    """The chosen values; every change is written at once.

    Attributes:
        path: The file.
        notices: What a person should know about the reading, for example that a broken file was set aside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notices: tuple[Text, ...] = ()
        self._watchers: list[Callable[[str], None]] = []
        self._values: dict[str, Any] = self._read()

    def get(self, setting: Setting[V]) -> V:
        """Return the chosen value, or the default where there is none or it does not fit."""
        value = self._values.get(setting.key, setting.default)
        return cast("V", value) if setting.fits(value) else setting.default

    def set(self, setting: Setting[V], value: V) -> None:
        """Choose a value and write the file.

        Raises:
            BadRequest: The value is not one of the choices.
            HostUnfit: The file cannot be written.
        """
        if not setting.fits(value):
            raise BadRequest(
                T("{value} is no value for {setting}.", value=str(value), setting=setting.key),
                T("Choose one of: {choices}.", choices=", ".join(map(str, setting.choices))),
                cause="bad_setting",
            )
        self._write(setting.key, value)
        self._values[setting.key] = value
        for watcher in tuple(self._watchers):
            watcher(setting.key)

    def subscribe(self, watcher: Callable[[str], None]) -> Callable[[], None]:
        """Call `watcher(key)` after each change; returns a function that ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _read(self) -> dict[str, Any]:
        try:
            written = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        import tomllib  # only where there is a file: the first start has none, and no time to lose

        try:
            return tomllib.loads(written.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            aside = self.path.with_name(f"{self.path.name}.bak-{time.strftime('%Y%m%d-%H%M%S')}")
            self.path.replace(aside)
            log.warning("The settings could not be read and were set aside as %s: %s", aside, error)
            self.notices = (
                T(
                    "The settings could not be read. They were kept as {file}, and the defaults are used.",
                    file=aside.name,
                ),
            )
            return {}

    def _write(self, key: str, value: str | int | bool) -> None:
        import tomlkit  # 60 ms, and only needed when something is changed

        try:
            try:
                document = tomlkit.parse(self.path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                document = tomlkit.document()
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            document[key] = value
            fresh = self.path.with_name(self.path.name + ".new")
            fresh.write_text(tomlkit.dumps(document), encoding="utf-8")
            os.replace(fresh, self.path)
        except OSError as error:
            raise HostUnfit(
                T("The settings could not be written to {file}.", file=str(self.path)),
                T("Make room on the disk or make the folder writable, then try again."),
                cause="not_writable",
                details=str(error),
            ) from error
