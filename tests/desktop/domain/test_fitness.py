from __future__ import annotations

from dataclasses import replace

import pytest

from personadesk.domain.fitness import GIB, best_place, best_python, judge
from personadesk.domain.host import (
    Fitness,
    GpuFact,
    HostFacts,
    InstallFact,
    Level,
    PlaceFact,
    PythonFact,
    Reach,
)
from personadesk.domain.plan import ModelKind

GPU = GpuFact(0, "NVIDIA L40S", 45 * GIB, "8.9")
GOOD = HostFacts(
    system="Linux", distribution="Debian 12", machine="x86_64", libc="glibc", libc_version=(2, 36),
    user="root", is_root=True, home="/home/me", cores=8, memory_bytes=64 * GIB,
    gpus=(GPU,), driver="580.10", cuda="13.0",
    pythons=(PythonFact("/usr/bin/python3", (3, 11, 2), makes_environments=True, has_pip=True),),
    places=(PlaceFact("/home/me/.personadesk", 200 * GIB, writable=True),),
    systemd=True, registry=Reach.YES, hub=Reach.YES,
)  # fmt: skip
BIG = ModelKind.PERSONAPLEX_7B


def _about(check, level):
    return [finding.about for finding in check.findings if finding.level is level]


@pytest.mark.parametrize("model", [None, *ModelKind])
def test_a_good_machine_is_fit_for_everything(model):
    check = judge(GOOD, model)
    assert check.verdict is Fitness.FIT
    assert not any(finding.next for finding in check.findings)


@pytest.mark.parametrize(
    ("changes", "model", "about", "verdict"),
    [
        ({"system": "Darwin"}, None, "system", Fitness.UNFIT),
        ({"machine": "riscv64"}, None, "machine", Fitness.UNFIT),
        ({"libc": "musl", "libc_version": (0, 0)}, None, "libc", Fitness.UNFIT),
        ({"libc_version": (2, 17)}, None, "libc", Fitness.UNFIT),
        ({"pythons": ()}, None, "python", Fitness.UNFIT),
        ({"pythons": (PythonFact("/p", (3, 10, 12), True, True),)}, None, "python", Fitness.UNFIT),
        ({"pythons": (PythonFact("/p", (3, 12, 1), False),)}, None, "python", Fitness.UNFIT),
        ({"gpus": ()}, None, "gpu", Fitness.WARN),
        ({"gpus": ()}, BIG, "gpu", Fitness.UNFIT),
        ({"gpus": (), "gpu_reason": "nvidia: no devices"}, BIG, "gpu", Fitness.UNFIT),
        ({"gpus": (replace(GPU, memory_bytes=16 * GIB),)}, BIG, "gpu", Fitness.UNFIT),
        ({"gpus": (replace(GPU, memory_bytes=16 * GIB),)}, None, "gpu", Fitness.WARN),
        ({"gpus": (replace(GPU, memory_bytes=None),)}, BIG, "gpu", Fitness.WARN),
        ({"gpus": (replace(GPU, capability="6.1"),)}, BIG, "gpu_age", Fitness.UNFIT),
        ({"gpus": (replace(GPU, capability="7.5"),)}, BIG, "gpu_age", Fitness.WARN),
        ({"gpus": (replace(GPU, parts=("1g.10gb",)),)}, BIG, "gpu", Fitness.UNFIT),
        ({"gpus": (replace(GPU, parts=("3g.40gb",)),)}, BIG, "gpu_parts", Fitness.WARN),
        ({"driver": "470.82"}, BIG, "driver", Fitness.UNFIT),
        ({"places": ()}, None, "disk", Fitness.UNFIT),
        ({"places": (PlaceFact("/r", 100 * GIB, False),)}, None, "disk", Fitness.UNFIT),
        (
            {"places": (PlaceFact("/r", 100 * GIB, True, False, False),)},
            None,
            "disk",
            Fitness.UNFIT,
        ),
        ({"places": (PlaceFact("/r", 20 * GIB, True),)}, BIG, "disk", Fitness.UNFIT),
        ({"places": (PlaceFact("/r", 20 * GIB, True),)}, None, "disk", Fitness.WARN),
        ({"memory_bytes": GIB // 2}, None, "memory", Fitness.UNFIT),
        ({"memory_bytes": 4 * GIB}, BIG, "memory", Fitness.WARN),
        ({"kind": "container"}, None, "volume", Fitness.WARN),
        ({"systemd": False}, None, "service", Fitness.WARN),
        ({"is_root": False, "user_units": True}, None, "service", Fitness.WARN),
        ({"skew_s": 120.0}, None, "clock", Fitness.WARN),
        ({"skew_s": -90000.0}, None, "clock", Fitness.WARN),
        ({"registry": Reach.NO}, None, "registry", Fitness.UNFIT),
        ({"registry": Reach.UNKNOWN}, None, "registry", Fitness.WARN),
        ({"hub": Reach.NO}, BIG, "hub", Fitness.WARN),
    ],
)
def test_each_lack_is_found_with_a_sentence_and_what_to_do(changes, model, about, verdict):
    check = judge(replace(GOOD, **changes), model)
    assert check.verdict is verdict
    level = Level.UNFIT if verdict is Fitness.UNFIT else Level.WARN
    assert about in _about(check, level)
    for finding in check.findings:
        assert str(finding.what).endswith(".")
        if finding.level is Level.UNFIT:
            assert str(finding.next).endswith((".", "-venv"))


def test_the_worst_comes_first():
    check = judge(replace(GOOD, gpus=(), systemd=False, registry=Reach.NO), None)
    order = [finding.level for finding in check.findings]
    assert order == sorted(order, key=[Level.UNFIT, Level.WARN, Level.GOOD].index)


def test_what_does_not_matter_for_the_rehearsal_model_is_not_held_against_a_machine():
    facts = replace(GOOD, gpus=(), driver="", memory_bytes=4 * GIB, hub=Reach.NO,
                    places=(PlaceFact("/r", 6 * GIB, True),))  # fmt: skip
    assert judge(facts, ModelKind.REHEARSAL).verdict is Fitness.FIT


def test_an_installation_that_is_there_needs_no_registry_and_no_room():
    facts = replace(
        GOOD, registry=Reach.NO, places=(PlaceFact("/r", GIB // 4, True),),
        install=InstallFact("/r", "0.1.0", ("0.1.0",), running=True),
    )  # fmt: skip
    assert judge(facts, ModelKind.REHEARSAL).verdict is Fitness.WARN


def test_a_python_with_a_torch_for_the_gpu_is_chosen():
    plain = PythonFact("/usr/bin/python3", (3, 12, 0), True, True)
    cpu = PythonFact("/a", (3, 11, 0), True, True, torch="2.9.0+cpu")
    cuda = PythonFact("/b", (3, 11, 0), True, True, torch="2.9.0+cu128", torch_cuda="12.8")
    assert best_python(replace(GOOD, pythons=(plain, cpu, cuda))) == cuda
    assert best_python(replace(GOOD, pythons=(plain, cpu))) == plain
    assert best_python(replace(GOOD, pythons=(plain, cpu), gpus=())) == cpu


def test_a_volume_goes_before_a_roomier_home_and_room_before_order():
    home = PlaceFact("/home/me/.personadesk", 90 * GIB, True)
    volume = PlaceFact("/workspace", 50 * GIB, True, persistent=True)
    facts = replace(GOOD, places=(home, volume))
    assert best_place(facts, 30 * GIB) == volume
    assert best_place(facts, 60 * GIB) == home
    assert best_place(facts, 99 * GIB) == home
