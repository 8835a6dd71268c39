"""The one object that `demo` and `deploy` print, and the same in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import personadesk
from personadesk.cli.running import error_dict
from personadesk.cli.words import word
from personadesk.domain.progress import DeployState
from personadesk.domain.report import Verdict, figure_text
from personadesk.language import show, tr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.progress import DeployView
    from personadesk.domain.report import TurnCheck, VoiceReport


def seconds() -> float:
    """Return how long this program has run."""
    return round(time.monotonic() - personadesk.STARTED, 2)


def verdict(view: DeployView | None) -> Verdict:
    """Return how a deploy came out as a whole: a voice that passed but has no address is no pass."""
    if view is None or view.state is not DeployState.DONE or view.report is None:
        return Verdict.FAIL
    return view.report.verdict


def as_dict(view: DeployView | None, error: PersonaDeskError | None = None) -> dict[str, Any]:
    """Return the object that `--json` prints.

    Args:
        view: The deploy as it was when it had ended, before anything was undone; None when none was begun.
        error: Why it failed, when the view does not say so.
    """
    report = view.report if view else None
    result: dict[str, Any] = {
        "verdict": str(verdict(view) if error is None else Verdict.FAIL),
        "seconds": seconds(),
        "steps": [
            {"name": str(s.name), "outcome": str(s.state), "seconds": round(s.seconds, 2)}
            for s in (view.steps if view else ())
        ],
        "voice": rounded(report.values) if report else {},
        "line": {"url": view.line_url if view else None},
        "report": view.report_dir if view else None,
    }
    if view is not None:
        result["id"] = view.plan.id
    error = error or (view.error if view else None)
    if error is not None:
        result["error"] = error_dict(error)
    return result


def in_words(view: DeployView) -> str:
    """Return the result for a person, for stdout."""
    lines = []
    if view.report is not None:
        lines += [show(view.report.sentence), show(view.report.explanation)]
        lines += _figures(view.report)
    if view.report_dir:
        lines.append(tr("Report: {folder}", folder=view.report_dir))
    return "\n".join(line for line in lines if line)


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures without digits that mean nothing."""
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}


def _figures(report: VoiceReport) -> list[str]:
    return [
        f"  {show(figure.limit.title)}: {_value(figure.value, figure.limit.unit)}"
        + ("" if figure.verdict is Verdict.PASS else f"  ({word(figure.verdict)})")
        for figure in report.figures
    ]


def _value(value: float | None, unit: str) -> str:
    return "—" if value is None else show(figure_text(value, unit))


def _turn(check: TurnCheck) -> str:
    told = show(check.note)
    if check.figure is not None:
        value = _value(check.figure.value, check.figure.limit.unit)
        told = f"{value}{told and f' {told}'}  ({word(check.figure.verdict)})"
    return f"  {check.number}. {show(check.title)}: {told}"


def voice_dict(report: VoiceReport, folder: Path | None) -> dict[str, Any]:
    """Return the object that `voice-test --json` prints."""
    from personadesk.voice import test_report

    values = test_report.as_dict(report)
    return {
        "verdict": values.pop("verdict"),
        "seconds": seconds(),
        "voice": rounded(values.pop("values")),
        "report": str(folder) if folder else None,
        **values,
    }


def voice_error(error: PersonaDeskError) -> dict[str, Any]:
    """Return the same object for a test in which no call came about."""
    return {
        "verdict": str(Verdict.FAIL), "seconds": seconds(), "voice": {}, "report": None,
        "error": error_dict(error),
    }  # fmt: skip


def voice_words(report: VoiceReport, folder: Path | None) -> str:
    """Return a voice test's result for a person, for stdout."""
    lines = [show(report.sentence), show(report.explanation), *_figures(report)]
    lines += [_turn(check) for check in report.turns]
    lines += [f"  {show(reason)}" for reason in report.reasons]
    if folder is not None:
        lines.append(tr("Report: {folder}", folder=folder))
    return "\n".join(line for line in lines if line)
