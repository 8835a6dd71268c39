"""Python source without what only a reader needs, for files that travel over slow lines.

Docstrings and comments are more than a third of it once packed. Lines keep their numbers, so that a traceback from a
host points to the right line of the repository.
"""

from __future__ import annotations

import ast
import io
import tokenize


def lean(source: bytes) -> bytes:
    """Return the same program without comments, docstrings and strings that stand alone.

    Args:
        source: A Python file in UTF-8 that nobody asks for its docstrings.

    Raises:
        SyntaxError: It is no Python.
    """
    text = source.decode()
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and token.start[0] > 1:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    for body in _bodies(ast.parse(text)):
        alone = [node for node in body if _is_text(node)]
        for node in alone:
            # Columns are counted in bytes; nothing stands before or behind such a string on its lines.
            indent = lines[node.lineno - 1][: node.col_offset]
            for row in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[row] = "\n"
            if len(alone) == len(body):
                lines[node.lineno - 1] = f"{indent}pass\n"
    return "".join(lines).encode()


def _bodies(tree: ast.Module) -> list[list[ast.stmt]]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.body for node in ast.walk(tree) if isinstance(node, kinds) and node.body]


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
