"""Collects every text that the window can show, and says which ones a language lacks.

    python packaging/texts.py missing nl      the texts without a translation, as JSON to fill in
    python packaging/texts.py unused nl       translations that no code asks for
    python packaging/texts.py list            all texts with the file that has them

Texts are found in the source itself: literals given to ``tr``, ``trn``, ``mark``, ``T``, ``Text`` and to the errors.
"""

from __future__ import annotations

import argparse
import ast
import json
import string
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "desktop" / "personadesk"

ONE_TEXT = {"tr", "mark", "T", "Text"}
ERRORS = {
    "PersonaDeskError", "AuthFailed", "OutOfFunds", "QuotaExceeded", "BadRequest", "HostUnfit",
    "NotFound", "NoCapacity", "RateLimited", "ProviderFault", "Unreachable",
}  # fmt: skip
"""Errors take plain strings for what happened, what to do, and ``money``."""


@dataclass(slots=True)
class Texts:
    """What was found.

    Attributes:
        texts: English text → file that has it.
        plurals: English (one, many) → file that has it.
        faults: Texts that cannot be collected, in words.
    """

    texts: dict[str, str] = field(default_factory=dict)
    plurals: dict[tuple[str, str], str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def collect(source: Path = SOURCE) -> Texts:
    """Read all modules below ``source``."""
    found = Texts()
    for file in sorted(source.rglob("*.py")):
        if "_resources" in file.parts:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        name = str(file.relative_to(source))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                _look_at(node, name, found)
    return found


def placeholders(text: str) -> set[str]:
    """Return the names in braces of a text."""
    return {part[1] for part in string.Formatter().parse(text) if part[1]}


def _look_at(call: ast.Call, name: str, found: Texts) -> None:
    function = call.func
    called = (
        function.id
        if isinstance(function, ast.Name)
        else function.attr
        if isinstance(function, ast.Attribute)
        else ""
    )
    where = f"{name}:{call.lineno}"
    if called == "trn":
        pair = [_literal(argument) for argument in call.args[:2]]
        if len(pair) == 2 and pair[0] and pair[1]:
            found.plurals.setdefault((pair[0], pair[1]), where)
        else:
            found.faults.append(f"{where}: trn() needs two literals")
    elif called in ONE_TEXT and isinstance(function, ast.Name):
        template = call.args[0] if call.args else None
        for keyword in call.keywords:
            if keyword.arg == "template":
                template = keyword.value
        text = _literal(template)
        if text:
            found.texts.setdefault(text, where)
        elif isinstance(template, (ast.JoinedStr, ast.BinOp)):
            found.faults.append(f"{where}: {called}() needs a literal with named placeholders")
    elif called in ERRORS:
        plain = list(call.args[:2]) + [
            k.value for k in call.keywords if k.arg in {"next_", "money"}
        ]
        for argument in plain:
            text = _literal(argument)
            if text:
                found.texts.setdefault(text, where)
            elif isinstance(argument, ast.JoinedStr):
                found.faults.append(f"{where}: {called}() needs T(…) with named placeholders")


def _literal(node: ast.expr | None) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _translated(code: str) -> tuple[dict[str, str], dict[tuple[str, str], tuple[str, str]]]:
    texts: dict[str, str] = {}
    plurals: dict[tuple[str, str], tuple[str, str]] = {}
    for file in sorted((ROOT / "resources" / "translations" / code).glob("*.json")):
        raw = json.loads(file.read_text(encoding="utf-8"))
        texts.update(raw.get("texts", {}))
        for one, many, one_target, many_target in raw.get("plurals", []):
            plurals[one, many] = (one_target, many_target)
    return texts, plurals


def main() -> int:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("missing", "unused", "list"))
    parser.add_argument("language", nargs="?", default="nl")
    arguments = parser.parse_args()
    found = collect()
    texts, plurals = _translated(arguments.language)
    for fault in found.faults:
        print(fault, file=sys.stderr)
    if arguments.what == "list":
        for text, where in found.texts.items():
            print(f"{where}\t{text}")
        return 0
    if arguments.what == "missing":
        lacking = {
            "texts": {t: "" for t in found.texts if t not in texts},
            "plurals": [[*p, "", ""] for p in found.plurals if p not in plurals],
        }
        print(json.dumps(lacking, indent=2, ensure_ascii=False))
        return 1 if lacking["texts"] or lacking["plurals"] else 0
    for text in texts:
        if text not in found.texts:
            print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
