"""What is pushed to a host is the same program, line by line, without what only readers need."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from _setup.lean import lean

SOURCES = Path(__file__).parents[2] / "server/personaplex_server"


def without_texts(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            kept = [
                each
                for each in node.body
                if not (
                    isinstance(each, ast.Expr)
                    and isinstance(each.value, ast.Constant)
                    and isinstance(each.value.value, str)
                )
            ]
            node.body = kept or ([ast.Pass()] if node.body else [])
    return ast.dump(tree)


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.stem)
def test_the_server_stays_the_same_program(path):
    source = path.read_bytes()
    lighter = lean(source)
    assert ast.get_docstring(ast.parse(lighter)) is None
    assert without_texts(ast.parse(lighter)) == without_texts(ast.parse(source))
    assert lighter.count(b"\n") == source.count(b"\n")
    where = {
        (node.lineno, type(node))
        for node in ast.walk(ast.parse(lighter))
        if hasattr(node, "lineno")
    }
    known = {
        (node.lineno, type(node)) for node in ast.walk(ast.parse(source)) if hasattr(node, "lineno")
    }
    assert {each for each in where if each[1] is not ast.Pass} <= known


def test_what_a_program_needs_is_kept():
    source = b'''"""About."""
X = "a # no comment"  # a comment
"""About X."""


class Wrong(Exception):
    """Nothing but this."""


def f():
    """Say."""
    return """two
# lines""", X
'''
    lighter = lean(source)
    assert b"About" not in lighter
    assert b"a comment" not in lighter
    names = {}
    exec(compile(lighter, "lean", "exec"), names)  # noqa: S102 - the very text under test
    assert names["f"]() == ("two\n# lines", "a # no comment")
    assert issubclass(names["Wrong"], Exception)
