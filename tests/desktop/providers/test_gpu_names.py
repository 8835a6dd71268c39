"""Every provider spells GPUs its own way; people see one name."""

import pytest

from personadesk.providers.gpus import memory_of, usual_name


@pytest.mark.parametrize(
    ("said", "memory", "name"),
    [
        ("NVIDIA GeForce RTX 4090", 24, "RTX 4090"), ("RTX_4090", 0, "RTX 4090"),
        ("NVIDIA RTX 6000 Ada Generation", 48, "RTX 6000 Ada"), ("NVIDIA RTX A5000", 24, "RTX A5000"),
        ("A5000", 0, "RTX A5000"), ("NVIDIA A100 80GB PCIe", 0, "A100 80GB"), ("A100", 40, "A100 40GB"),
        ("NVIDIA A100-SXM4-80GB", 80, "A100 80GB"), ("nvidia-l4", 0, "L4"), ("A10G", 24, "A10G"),
        ("NVIDIA H100 80GB HBM3", 80, "H100"), ("H100 NVL", 94, "H100 NVL"), ("L40S", 48, "L40S"),
        ("nvidia-h100-80gb", 0, "H100"), ("Tesla T4", 16, "T4"), ("Mystery 9000", 0, "Mystery 9000"),
    ],
)  # fmt: skip
def test_names(said, memory, name):
    assert usual_name(said, memory) == name


def test_memory_is_known_for_usual_names_only():
    assert memory_of("L40S") == 48
    assert memory_of("Mystery 9000") == 0
