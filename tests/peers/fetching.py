"""Runs `personaplex-server fetch-model` as a process of its own, and a repository for it to fetch."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.hugging_face import Hub

LM = "model.safetensors"
CODEC = "tokenizer-e351c8d8-checkpoint125.safetensors"
TEXT = "tokenizer_spm_32k_3.model"
GRANTED = "hf_granted"
SECONDS = 60


def archive(files: dict[str, bytes], **members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
        for member in members.values():
            tar.addfile(member)
    return out.getvalue()


def model(size: int = 400_000, seed: int = 7) -> dict[str, bytes]:
    """A repository laid out as the released one; its content is noise."""
    noise = random.Random(seed)
    spoken = {f"voices/{name}.pt": noise.randbytes(9_000) for name in ("NATF0", "NATM1")}
    return {
        "README.md": b"read me",
        "config.json": b'{"model_type": "personaplex"}',
        "dist.tgz": b"a web page" * 2000,
        LM: noise.randbytes(size),
        CODEC: noise.randbytes(60_000),
        TEXT: noise.randbytes(20_000),
        "voices.tgz": archive(spoken),
    }


@dataclass
class Ended:
    """How a fetch ended."""

    code: int
    events: list[dict[str, Any]] = field(default_factory=list)
    errors: str = ""

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]


class Fetch:
    """Fetches into one folder."""

    def __init__(self, to: Path) -> None:
        self.to = to
        self.words: list[str] = []

    def start(self, hub: Hub | str, *words: str, token: str | None = GRANTED) -> Any:
        url = hub if isinstance(hub, str) else hub.url
        argv = [
            sys.executable, "-m", "personaplex_server", "fetch-model", "--to", str(self.to),
            "--json", "--stall", "0.5", "--patience", "10", *words,
        ]  # fmt: skip
        if token is not None:
            argv.append("--token-stdin")
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment | {"HF_ENDPOINT": url, "HF_HOME": str(self.to.parent / "hf")},
        )  # fmt: skip
        assert process.stdin is not None
        if token is not None:
            process.stdin.write(f"{token}\n".encode())
            process.stdin.flush()
        return process

    def end(self, process: Any) -> Ended:
        out, err = process.communicate(timeout=SECONDS)
        events = [json.loads(line) for line in out.decode().splitlines()]
        return Ended(process.returncode, events, err.decode())

    def __call__(self, hub: Hub | str, *words: str, token: str | None = GRANTED) -> Ended:
        return self.end(self.start(hub, *words, token=token))

    def part(self) -> int:
        """Bytes of the largest file that are noted as being there."""
        try:
            notes = json.loads((self.to / f".{LM}.part.json").read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return sum(notes["done"])

    def is_whole(self, hub: Hub) -> bool:
        wanted = {LM, CODEC, TEXT, "voices.tgz", "config.json"}
        there = {p.name for p in self.to.iterdir() if p.is_file() and not p.name.startswith(".")}
        assert there == wanted
        assert not list(self.to.glob(".*.part*"))
        assert not list(self.to.glob(".voices-*"))
        assert sorted(p.name for p in (self.to / "voices").iterdir()) == ["NATF0.pt", "NATM1.pt"]
        return all((self.to / name).read_bytes() == hub.files[name] for name in wanted)
