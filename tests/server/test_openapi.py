"""The description of the HTTP routes, held against what they do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from starlette.routing import Route

from personaplex_server import openapi, web
from personaplex_server.voices import VoiceFolder

TOKEN = "correct-horse-battery"


def parts(schema, whole):
    """Yield a schema and what it is put together from."""
    if "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for part in schema.get("allOf", [schema]):
        yield from [part] if part is schema else parts(part, whole)


def test_every_route_is_described_and_nothing_else(serve):
    app = web.create_app(serve().service)
    routes = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, Route) and route.path != "/page/{name}"
        for method in (route.methods or ()) - {"HEAD"}
    }
    described = {
        (path, method)
        for path, methods in openapi.description(guarded=False)["paths"].items()
        for method in methods
    }
    assert routes == described


@pytest.mark.parametrize("token", [None, TOKEN])
def test_answers_are_as_described(serve, scripted, token):
    server = serve(scripted(), token=token)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    whole = server.get("/openapi.json").json()
    for path, methods in whole["paths"].items():
        if token is not None:
            refused = server.get(path)
            free = methods["get"].get("security") == []
            assert refused.status_code == (200 if free else 401)
        answer = server.get(path, headers=headers)
        (kind, media) = next(iter(methods["get"]["responses"]["200"]["content"].items()))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
        if "schema" not in media or path == "/openapi.json":
            continue
        wanted = {name for part in parts(media["schema"], whole) for name in part["required"]}
        assert set(answer.json()) == wanted


@pytest.mark.schemathesis
def test_whatever_the_description_allows_is_answered_as_it_says(serve, scripted, tmp_path):
    server = serve(scripted(), token=TOKEN, also={"voices": VoiceFolder(tmp_path)})
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--max-examples", "25"),
            *("--generation-database", "none", "--no-color"),
            # A description cannot say that a body is a wav file.
            *("--exclude-checks", "positive_data_acceptance"),
        ],
        capture_output=True,
        text=True,
        timeout=150,
        cwd=tmp_path,
        env=os.environ | {"NO_PROXY": "*"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    server.until(lambda health: health["state"] == "ready")
