"""Makes the spoken clips that PersonaDesk brings along, with espeak-ng and sox.

The results are committed, so nobody needs these two programs to run or test PersonaDesk; run this again only
to change what is said. Usage: `python packaging/make_clips.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CLIPS = Path(__file__).resolve().parents[1] / "resources" / "clips"

# A greeting and an open question: a model that answers at all has something to say to it.
QUESTION = "Hello, can you hear me? What are you able to do?"
# Long enough that a voice could break in, with a pause in the middle in which it should not.
LONG_QUESTION = (
    "I am planning a dinner for six friends on Saturday, two of them eat no meat, and one is allergic to nuts. "
    "What could I cook that I can get ready the evening before?"
)
INTERRUPTION = "Wait, stop for a moment. I have another question."
VOICE, WORDS_A_MINUTE, PITCH = "en-us", "175", "45"

# The speed of sound on the wire, and silence at the ends cut to what a careful speaker leaves: figures such as
# "first sound" are counted from the first frame, so a clip must begin with speech and not with a pause.
POLISH = (
    "rate", "-v", "24000",
    "silence", "1", "0.01", "0.2%", "reverse", "silence", "1", "0.01", "0.2%", "reverse",
    "highpass", "60", "norm", "-4", "pad", "0.08", "0.12",
)  # fmt: skip


def make(words: str, target: Path) -> None:
    """Speak `words` into `target`: 24 kHz, mono, 16 bit, the same samples each time."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.wav"
        subprocess.run(
            ["espeak-ng", "-v", VOICE, "-s", WORDS_A_MINUTE, "-p", PITCH, "-w", str(raw), words],
            check=True,
        )
        # -R makes the dither repeatable.
        subprocess.run(
            ["sox", "-R", str(raw), "-c", "1", "-b", "16", str(target), *POLISH], check=True
        )


def main() -> int:
    """Make every clip."""
    missing = [name for name in ("espeak-ng", "sox") if shutil.which(name) is None]
    if missing:
        print(f"Install {' and '.join(missing)} first.", file=sys.stderr)
        return 1
    CLIPS.mkdir(parents=True, exist_ok=True)
    for words, name in (
        (QUESTION, "question.wav"),
        (LONG_QUESTION, "long-question.flac"),
        (INTERRUPTION, "interruption.flac"),
    ):
        make(words, CLIPS / name)
        print(CLIPS / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
