"""The `offline` command: a sound file through the model, without pacing; what it says as sound, words and tokens."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from personaplex_server.engines.base import EngineError, Sampling
from personaplex_server.protocol import FRAME_SAMPLES

if TYPE_CHECKING:
    import argparse

    from personaplex_server.engines.personaplex import PersonaPlexEngine

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to `parser`."""
    usual = Sampling()
    add = parser.add_argument
    add("--checkpoint", type=Path, required=True, metavar="DIR", help="the model's folder")
    add("--input-wav", type=Path, required=True, metavar="IN", help="what the caller says")
    add("--output-wav", type=Path, required=True, metavar="OUT", help="what the model says")
    add("--voice-prompt", metavar="FILE", help="a voice of the model, or a .pt or sound file")
    add("--text-prompt", default="", metavar="TEXT", help="the role of the model, in words")
    add("--output-text", type=Path, metavar="OUT.json", help="one entry per frame: what is said")
    add("--tokens-out", type=Path, metavar="OUT.npz", help="`tokens`, 9 values per frame")
    add("--greedy", action="store_true", help="always take the likeliest token")
    add("--seed", type=int, metavar="N", help="make the answer repeatable")
    add(
        "--text-temperature",
        "--temp-text",
        type=float,
        default=usual.text_temperature,
        metavar="T",
        help="default %(default)s; 0 is greedy",
    )
    add(
        "--text-top-k",
        "--text-topk",
        "--topk-text",
        type=int,
        default=usual.text_top_k,
        metavar="K",
        help="default %(default)s; 0 means all",
    )
    add(
        "--audio-temperature",
        "--temp-audio",
        type=float,
        default=usual.audio_temperature,
        metavar="T",
        help="default %(default)s; 0 is greedy",
    )
    add(
        "--audio-top-k",
        "--audio-topk",
        "--topk-audio",
        type=int,
        default=usual.audio_top_k,
        metavar="K",
        help="default %(default)s; 0 means all",
    )
    add(
        "--voices", "--voice-prompt-dir", type=Path, metavar="DIR", help="one more folder of voices"
    )
    add("--dtype", default="auto", choices=("auto", "float32", "bfloat16"))
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--threads", type=int, metavar="N", help="CPU threads; default: torch's own choice")


def run(args: argparse.Namespace) -> int:
    """Do the command; return its exit status, 1 for a failure that is told on stderr."""
    from personaplex_server.model.audio import AudioError

    try:
        _run(args)
    except (EngineError, AudioError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'A file'} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    import numpy as np

    from personaplex_server.engines.personaplex import PersonaPlexEngine
    from personaplex_server.model.audio import frames, read_audio, write_wav

    # Before the model, which takes long to load: most mistakes are in the names of files.
    samples = read_audio(args.input_wav)
    for path in (args.output_wav, args.output_text, args.tokens_out):
        if path is not None and not path.parent.is_dir():
            raise EngineError(f"The folder of {path} does not exist; make it first.")
    engine = PersonaPlexEngine.load(
        args.checkpoint,
        device=args.device,
        dtype=args.dtype,
        voices_dir=args.voices,
        threads=args.threads,
    )
    # A file is answered as the reference would answer it, however long it is.
    engine.renew = False
    for _ in engine.opening_with(
        0, _voice(engine, args.voice_prompt), args.text_prompt, _sampling(args)
    ):
        pass
    width = 1 + engine.config.lm.own_codebooks
    cut = frames(samples)
    tokens = np.full((len(cut), width), -1, np.int64)
    spoken = np.zeros((len(cut), FRAME_SAMPLES), np.float32)
    for index, frame in enumerate(cut):
        answer = engine.tick({0: frame})[0]
        if answer.tokens is not None and answer.pcm is not None:
            tokens[index] = answer.tokens
            spoken[index] = answer.pcm
    write_wav(args.output_wav, spoken.reshape(-1)[: len(samples)])
    if args.tokens_out is not None:
        with args.tokens_out.open("wb") as file:
            np.savez(file, tokens=tokens)
    if args.output_text is not None:
        # Where nothing is answered yet nothing is said, which the model itself calls padding.
        padding = engine.config.lm.padding_id
        said = [engine.tokenizer.piece(int(t) if t >= 0 else padding) for t in tokens[:, 0]]
        args.output_text.write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")


def _voice(engine: PersonaPlexEngine, name: str | None) -> Path | None:
    """Return the file of the voice: a name in the model's folder, or else a path of this computer."""
    from personaplex_server.model.voices import VoiceError

    if not name:
        return None
    if Path(name).name == name and name in engine.voices():
        return engine.library.find(name)
    if Path(name).is_file():
        return Path(name)
    if Path(name).name != name:
        raise EngineError(f"The voice file {name} does not exist.")
    try:
        return engine.library.find(name)
    except VoiceError as error:
        raise EngineError(str(error)) from error


def _sampling(args: argparse.Namespace) -> Sampling:
    if args.greedy:
        return Sampling.greedy()
    return Sampling(
        text_temperature=args.text_temperature,
        text_top_k=args.text_top_k,
        audio_temperature=args.audio_temperature,
        audio_top_k=args.audio_top_k,
        seed=args.seed,
    )
