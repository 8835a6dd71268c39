"""A stand-in for `nvidia-smi`, answering from recordings as the real program would. It needs nothing but Python.

Installed by `install` as a program of a pretend machine's PATH, or a test host's. Which recording and state it shows is
read at each question from `NVIDIA_SMI_RECORDING` (a .json or .xml file) and `NVIDIA_SMI_STATE` (`idle` or `load`), or
from a control file beside it, so that a card can vanish or begin to work while a query loop runs.

Recordings in JSON hold per GPU and state each field of `--query-gpu` as [header, value]; those in XML are whole
`nvidia-smi -q -x` answers.
"""

from __future__ import annotations

import json
import os
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

XML_FIELDS = {
    "name": "product_name", "uuid": "uuid", "serial": "serial", "pstate": "performance_state",
    "fan.speed": "fan_speed", "vbios_version": "vbios_version",
    "memory.total": "fb_memory_usage/total", "memory.used": "fb_memory_usage/used",
    "memory.free": "fb_memory_usage/free", "memory.reserved": "fb_memory_usage/reserved",
    "utilization.gpu": "utilization/gpu_util", "utilization.memory": "utilization/memory_util",
    "temperature.gpu": "temperature/gpu_temp", "temperature.memory": "temperature/memory_temp",
    "power.draw": "gpu_power_readings/power_draw|gpu_power_readings/instant_power_draw|power_readings/power_draw",
    "power.limit": "gpu_power_readings/current_power_limit|power_readings/power_limit",
    "enforced.power.limit": "power_readings/enforced_power_limit",
    "clocks.current.sm": "clocks/sm_clock", "clocks.sm": "clocks/sm_clock",
    "clocks.current.memory": "clocks/mem_clock",
    "pcie.link.gen.current": "pci/pci_gpu_link_info/pcie_gen/current_link_gen",
    "pcie.link.width.current": "pci/pci_gpu_link_info/link_widths/current_link_width",
    "mig.mode.current": "mig_mode/current_mig",
    "ecc.errors.uncorrected.volatile.total":
        "ecc_errors/volatile/dram_uncorrectable|ecc_errors/volatile/double_bit/total",
    "clocks_throttle_reasons.active": "=0x0000000000000000",
}  # fmt: skip
"""Fields that drivers of the XML recordings' age know; the newer names are unknown to them."""
UNITS = {"%": "[%]", "MiB": "[MiB]", "W": "[W]", "MHz": "[MHz]"}


class Cards:
    """What a recording says of the cards in a state."""

    def __init__(self, path: Path, state: str) -> None:
        self.text = ""
        self.cuda = "13.0"
        self.fields: list[dict[str, list[str]]] = []
        self.list: list[str] = []
        self.driver = ""
        if path.suffix == ".xml":
            self._from_xml(path)
        else:
            recording: dict[str, Any] = json.loads(path.read_text())
            self.fields = [gpu.get(state) or gpu["idle"] for gpu in recording["gpus"]]
            self.list = recording["list"]
            self.driver = self.fields[0]["driver_version"][1] if self.fields else ""

    def _from_xml(self, path: Path) -> None:
        self.text = path.read_text()
        root = ET.fromstring(self.text)  # noqa: S314 - our own recordings
        self.driver, self.cuda = (
            root.findtext("driver_version", ""),
            root.findtext("cuda_version", ""),
        )
        gpus = root.findall("gpu")
        for index, gpu in enumerate(gpus):
            fields = {
                "index": ["index", str(index)],
                "count": ["count", str(len(gpus))],
                "timestamp": ["timestamp", time.strftime("%Y/%m/%d %H:%M:%S.000")],
                "driver_version": ["driver_version", self.driver],
            }
            for field, places in XML_FIELDS.items():
                values = [
                    place[1:] if place.startswith("=") else gpu.findtext(place)
                    for place in places.split("|")
                ]
                value = next((each for each in values if each), None)
                if value is None:
                    value = "[N/A]"
                unit = (
                    UNITS.get(value.split()[-1], "") if " " in value and value[0].isdigit() else ""
                )
                if field.startswith("pcie.link.width"):
                    value = value.removesuffix("x")
                if field.startswith("temperature"):
                    value, unit = value.removesuffix(" C"), ""
                fields[field] = [f"{field} {unit}".strip(), value]
            self.fields.append(fields)
            self.list.append(f"GPU {index}: {fields['name'][1]} (UUID: {fields['uuid'][1]})")


def settings() -> dict[str, str]:
    """What is to be shown now; the control file goes before the environment."""
    found = {
        "recording": os.environ.get("NVIDIA_SMI_RECORDING", ""),
        "state": os.environ.get("NVIDIA_SMI_STATE", "idle"),
        "copies": "1",
        "fault": "",
    }
    control = Path(sys.argv[0]).parent / "nvidia-smi.json"
    if control.exists():
        found.update(json.loads(control.read_text()))
    return found


def load() -> Cards:
    """Return the cards, or fail as the real program does."""
    now = settings()
    if now["fault"] == "no-driver":
        print(
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
            "Make sure that the latest NVIDIA driver is installed and running.\n"
        )
        sys.exit(9)
    if now["fault"] == "no-devices":
        print("No devices were found")
        sys.exit(6)
    if now["fault"] == "lost":
        print(
            "Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.  "
            "Reboot the system to recover this GPU"
        )
        sys.exit(15)
    if now["fault"] == "hang":
        time.sleep(3600)
    cards = Cards(Path(now["recording"]), now["state"])
    copies = int(now["copies"])
    if copies > 1:
        first = cards.fields[0]
        cards.fields = [
            {**first, "index": ["index", str(number)], "count": ["count", str(copies)],
             "uuid": ["uuid", f"{first['uuid'][1][:-1]}{number}"]}
            for number in range(copies)
        ]  # fmt: skip
    return cards


def query(fields: list[str], options: set[str]) -> None:
    """Print one answer to `--query-gpu`."""
    cards = load()
    for field in fields:
        if field not in cards.fields[0]:
            print(f'Field "{field}" is not a valid field to query.\n')
            sys.exit(2)
    if "noheader" not in options:
        print(", ".join(cards.fields[0][field][0] for field in fields))
    for card in cards.fields:
        values = []
        for field in fields:
            value = card[field][1]
            if field == "timestamp":
                value = time.strftime("%Y/%m/%d %H:%M:%S.000")
            if "nounits" in options and " " in value and value.split()[-1] in UNITS:
                value = value.rsplit(" ", 1)[0]
            values.append(value)
        print(", ".join(values))
    sys.stdout.flush()


def main(words: list[str]) -> None:
    """Answer as `nvidia-smi` does."""
    given = {word.split("=", 1)[0]: word.split("=", 1)[-1] for word in words}
    every = 0.0
    for number, word in enumerate(words):
        if word in {"-l", "--loop"}:
            every = float(words[number + 1])
        elif word.startswith("--loop="):
            every = float(word.split("=")[1])
        elif word.startswith(("-lms", "--loop-ms")):
            every = float(word.split("=")[1] if "=" in word else words[number + 1]) / 1000
    while True:
        if "--query-gpu" in given:
            query(given["--query-gpu"].split(","), set(given.get("--format", "csv").split(",")))
        elif "-L" in given:
            print("\n".join(load().list))
        elif "--help-query-gpu" in given:
            print("\n".join(f'"{field}"' for field in load().fields[0]))
        elif "-x" in given:
            print(load().text, flush=True)
        else:
            cards = load()
            print(
                f"| NVIDIA-SMI {cards.driver}    Driver Version: {cards.driver}    CUDA Version: {cards.cuda} |"
            )
        if not every:
            return
        sys.stdout.flush()
        time.sleep(every)


def install(folder: Path, recording: Path, **now: str) -> Path:
    """Put the program into a folder; returns its control file, to be rewritten with `show`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(f"#!{sys.executable} -IS\n" + Path(__file__).read_text())
    program.chmod(0o755)
    show(folder, recording=str(recording.absolute()), **now)
    return folder / "nvidia-smi.json"


def show(folder: Path, **now: str) -> None:
    """Change what an installed program shows."""
    control = folder / "nvidia-smi.json"
    known = json.loads(control.read_text()) if control.exists() else {}
    fresh = folder / "nvidia-smi.json.new"
    fresh.write_text(json.dumps({**known, **now}))
    fresh.replace(control)


if __name__ == "__main__":
    main(sys.argv[1:])
