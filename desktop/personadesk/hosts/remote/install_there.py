"""Makes the voice server's environment on this host. Run there by any Python from 3.11 on, with nothing installed.

    install_there.py FOLDER KEY SHA256 --gpu 0|1 --torch VERSION [--look PYTHON]...

It prints what the installers print, and lines `STEP fraction words`. A version that is whole is found and left alone.

uv installs (1.5 s where pip takes 14), fetched by pip where there is none and told which index pip uses; whatever it
cannot do, pip does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROBE = r"""
import importlib.util, json, re, sys, sysconfig
facts = {"abi": sysconfig.get_config_var("SOABI"), "python": list(sys.version_info[:2]), "torch": None}
spec = importlib.util.find_spec("torch")
if spec is not None and spec.origin:
    # Not imported: that takes seconds, and the proof at the end imports it anyway.
    with open(spec.origin.replace("__init__", "version"), encoding="utf-8") as file:
        text = file.read()
    version = re.search(r"^__version__\s*=\s*['\"](.+?)['\"]", text, re.M)
    cuda = re.search(r"^cuda[^=]*=\s*['\"](.+?)['\"]", text, re.M)
    facts.update(torch=version and version[1], origin=spec.origin, cuda=cuda and cuda[1])
print("FACTS " + json.dumps(facts))
"""
VERIFY = """
import json
import numpy, torch, starlette, uvicorn, websockets, safetensors, sentencepiece, opuslib_next
import personaplex_server, personaplex_server.web
torch.from_numpy(numpy.zeros(2, numpy.float32)).numpy()
print("FACTS " + json.dumps({"torch": torch.__version__, "torch_file": torch.__file__,
    "server": personaplex_server.__version__}))
"""
VERIFY_SOUND = """
import pyloudnorm, scipy.signal
print("FACTS {}")
"""
"""Beside the other: each loads for seconds the first time."""
TORCH_LINK = "zz-borrowed-torch.pth"
OLDEST_TORCH = (2, 7)
PRETEND = "PERSONADESK_REHEARSAL_MACHINE"
PIP_SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY"}
"""What uv is told of pip's own settings."""
PIP_QUIET = (
    "--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--no-compile", "--progress-bar", "off",
)  # fmt: skip
EXIT_NO_ENVIRONMENT, EXIT_INSTALL, EXIT_DOES_NOT_RUN = 21, 22, 23


class Failed(Exception):
    """An installation that cannot go on; the exit status tells why."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)


def main() -> int:
    """Install, or find it installed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("key")
    parser.add_argument("sha256")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--torch", default="2.13.0")
    parser.add_argument("--look", action="append", default=[])
    options = parser.parse_args()
    target = options.folder / "versions" / options.key
    # What is downloaded belongs into the one folder too, and is of no use once all is installed.
    cache = options.folder / "cache"
    os.environ.setdefault("UV_CACHE_DIR", str(cache / "uv"))
    # A cache that this host's own settings name is used; pretend machines share one.
    os.environ.setdefault("PIP_CACHE_DIR", str(cache / "pip"))
    try:
        if not (target / "complete.json").exists():
            install(target, options)
        point(options.folder, target)
    except Failed as error:
        print(error, flush=True)
        return error.status
    shutil.rmtree(cache, ignore_errors=True)
    step(1.0, "installed")
    return 0


def install(target: Path, options: argparse.Namespace) -> None:
    """Make the environment; a torn one is removed first."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    step(0.02, "making an environment of its own")
    pip_here = run_quietly([sys.executable, "-m", "pip", "--python", sys.executable, "--version"])
    words = [sys.executable, "-m", "venv", *(["--without-pip"] if pip_here else []), str(target)]
    if run(words) != 0:
        raise Failed(EXIT_NO_ENVIRONMENT, "This Python cannot make environments.")
    python = target / "bin" / "python"
    pip = (
        [sys.executable, "-m", "pip", "--python", str(python)]
        if pip_here
        else [str(python), "-m", "pip"]
    )
    step(0.05, "getting the installer")
    uv = find_uv(pip, options.folder)
    step(0.08, "installing what the server needs")
    package = options.folder / "package" / options.key
    [wheel] = package.glob("*.whl")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.txt"
        listed = (package / "requirements.txt").read_text(encoding="utf-8")
        own = f"personaplex-server @ {wheel.resolve().as_uri()} --hash=sha256:{options.sha256}"
        wanted.write_text(f"{listed}\n{own}\n", encoding="utf-8")
        words_of_list = ["--require-hashes", "--no-deps", "-r", str(wanted)]
        if not uv or run([uv, "pip", "install", "--python", str(python), *words_of_list]) != 0:
            install_with(pip, words_of_list)
    if not options.gpu:
        install_for_cpu(pip, uv, python, package / "requirements-cpu.txt")
    step(0.6, "looking for a torch that is here already")
    borrowed = borrow(python, target, options)
    if not borrowed:
        get_torch(pip, uv, python, options)
    step(0.95, "looking whether it runs")
    facts = verify(python)
    if facts is None and borrowed:
        print("The borrowed torch does not work here; a torch of its own is installed.", flush=True)
        link_of(python).unlink()
        get_torch(pip, uv, python, options)
        facts = verify(python)
    if facts is None:
        run([str(python), "-I", "-c", VERIFY])
        run([str(python), "-I", "-c", VERIFY_SOUND])
        raise Failed(EXIT_DOES_NOT_RUN, "It was installed, but it does not run here.")
    marker = target / "complete.json.new"
    marker.write_text(
        json.dumps({"torch": facts["torch"], "borrowed": borrowed, "server": facts["server"]})
    )
    marker.replace(target / "complete.json")


def install_for_cpu(pip: list[str], uv: str, python: Path, listed: Path) -> None:
    """Install what makes the server quicker on a processor, if there are wheels of it; it does without, too."""
    words = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(listed)]
    if uv and run([uv, "pip", "install", "--python", str(python), *words]) == 0:
        return
    done = subprocess.run(
        [*pip, "install", *PIP_QUIET, *words],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout, flush=True)
    # A registry that does not answer ends with the same words, after some tries.
    absent = "No matching distribution" in done.stdout and "Retrying (" not in done.stdout
    if done.returncode != 0 and not absent:
        raise Failed(EXIT_INSTALL, "A package could not be installed.")
    if done.returncode != 0:
        print("llvmlite cannot be had here; torch's own operators are used.", flush=True)


def point(folder: Path, target: Path) -> None:
    """Lead `current` to this version, in one move; the one before is remembered for a way back."""
    current = folder / "current"
    before = os.readlink(current) if current.is_symlink() else ""
    wanted = f"versions/{target.name}"
    if before == wanted:
        return
    if before:
        (folder / "previous").write_text(Path(before).name)
    fresh = folder / ".current"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(wanted)
    fresh.replace(current)


def borrow(python: Path, target: Path, options: argparse.Namespace) -> bool:
    """Let the environment use a torch of another Python, if one fits."""
    own = facts_of([str(python), "-I", "-S", "-c", PROBE])
    others = [sys.executable, *options.look]
    others += [str(path) for path in sorted(target.parent.glob("*/bin/python"))]
    for other in dict.fromkeys(others):
        facts = facts_of([other, "-I", "-c", PROBE])
        if own is None or facts is None or not facts.get("torch"):
            continue
        version = str(facts["torch"])
        numbers = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
        fits = (facts["abi"], facts["python"]) == (own["abi"], own["python"])
        # The GPU of a pretend machine is one of words; any torch drives it.
        gpu = options.gpu and PRETEND not in os.environ
        if not fits or numbers < OLDEST_TORCH or (gpu and not facts.get("cuda")):
            print(f"{other} has torch {version}, which does not fit", flush=True)
            continue
        link_of(python).write_text(f"{Path(str(facts['origin'])).parents[1]}\n", encoding="utf-8")
        print(f"torch {version} of {other} is used", flush=True)
        return True
    return False


def verify(python: Path) -> dict[str, object] | None:
    """Return what the finished environment says of itself, None when it does not run."""
    with ThreadPoolExecutor(1) as beside:
        sound = beside.submit(facts_of, [str(python), "-I", "-c", VERIFY_SOUND])
        facts = facts_of([str(python), "-I", "-c", VERIFY])
        return facts if sound.result() is not None else None


def get_torch(pip: list[str], uv: str, python: Path, options: argparse.Namespace) -> None:
    """Install torch itself: the right build for the driver, and no CUDA packages where there is no GPU."""
    step(0.65, "getting torch")
    wanted = f"torch=={options.torch}"
    plain = not options.gpu and (platform.system() != "Linux" or not pulls_cuda(pip, wanted))
    if not plain:
        backend = "auto" if options.gpu else "cpu"
        if (
            uv
            and run(
                [uv, "pip", "install", "--python", str(python), "--torch-backend", backend, wanted]
            )
            == 0
        ):
            return
        print("The build of torch for this machine could not be had by itself.", flush=True)
    install_with(pip, [wanted])


def pulls_cuda(pip: list[str], wanted: str) -> bool:
    """Whether the registry's torch brings CUDA packages along."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        words = [
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--quiet",
            "--report",
            str(report),
            wanted,
        ]
        install_with(pip, words)
        answer = json.loads(report.read_text(encoding="utf-8"))
    for item in answer.get("install", ()):
        for name in item.get("metadata", {}).get("requires_dist", ()):
            bare = name.lower()
            if "extra ==" not in bare and bare.startswith(("nvidia-", "triton", "cuda-")):
                return True
    return False


def find_uv(pip: list[str], folder: Path) -> str:
    """Return uv's program, fetched for this one job where there is none; "" when it cannot be had."""
    follow_pip(pip)
    if found := shutil.which("uv"):
        return found
    tools = folder / "package" / "tools"
    program = tools / "bin" / "uv"
    if not program.exists():
        run(
            [
                *pip,
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--target",
                str(tools),
                "uv",
            ]
        )
    return str(program) if program.exists() else ""


def follow_pip(pip: list[str]) -> None:
    """Have uv ask where pip asks; an index's address may hold a password, so it is on no command line."""
    os.environ.setdefault("UV_HTTP_TIMEOUT", "30")
    done = subprocess.run([*pip, "config", "list"], check=False, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        variable = PIP_SETTINGS.get(name.rpartition(".")[2])
        if variable and name.startswith(("global.", "install.", ":env:.")):
            os.environ.setdefault(variable, value.strip("'\""))


def install_with(pip: list[str], words: list[str]) -> None:
    """Run pip's install."""
    if run([*pip, "install", *PIP_QUIET, *words]) != 0:
        raise Failed(EXIT_INSTALL, "A package could not be installed.")


def link_of(python: Path) -> Path:
    """The file by which an environment borrows a torch; read last, so that its own packages come first."""
    major, minor = sys.version_info[:2]
    return python.parents[1] / "lib" / f"python{major}.{minor}" / "site-packages" / TORCH_LINK


def facts_of(words: list[str]) -> dict[str, object] | None:
    """Run a Python that prints FACTS; None when it does not."""
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=180)
    except (OSError, subprocess.TimeoutExpired):
        return None
    for line in done.stdout.splitlines():
        if line.startswith("FACTS "):
            facts: dict[str, object] = json.loads(line[6:])
            return facts
    return None


def run(words: list[str]) -> int:
    """Run a program; its output is ours."""
    return subprocess.run(
        words, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT
    ).returncode


def run_quietly(words: list[str]) -> bool:
    """Whether a program ends well."""
    return (
        subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL).returncode
        == 0
    )


def step(fraction: float, words: str) -> None:
    """Tell how far it is."""
    print(f"STEP {fraction} {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
