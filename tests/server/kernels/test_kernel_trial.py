"""Functions are tried before they are used; where they cannot be made, or come out wrong, torch computes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from personaplex_server.kernels import machine, trial
from personaplex_server.kernels.machine import Kernels
from personaplex_server.kernels.trial import TrialError
from personaplex_server.model.layers import attends
from personaplex_server.model.linear import Linear


@pytest.fixture
def anew():
    """Functions are made anew in this test, and after it."""
    machine._made.cache_clear()
    machine.kernels.cache_clear()
    yield
    machine._made.cache_clear()
    machine.kernels.cache_clear()


@pytest.fixture
def one_compilation(native, monkeypatch):
    """What is made anew is what was there already, so that no time goes by."""
    fresh = object.__new__(Kernels)
    fresh.__dict__.update(native.__dict__, _attend={})
    monkeypatch.setattr(machine, "Kernels", lambda: fresh)
    return fresh


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if each.levelname != "INFO"]


def spoiled(function, place):
    """Return a function that gets the first number of its results a little wrong."""

    def run(*given):
        function(*given)
        first = given[place].view(-1)[:1]
        first += 1e-3 if first.is_floating_point() else 1

    return run


def test_what_was_made_passes(anew, one_compilation, caplog):
    assert machine.kernels() is one_compilation
    assert one_compilation.attend(16) is not None
    assert not warnings(caplog)


@pytest.mark.logs_warnings
@pytest.mark.parametrize(
    ("name", "place", "told"),
    [("product", 2, "the product"), ("product8", 2, "8-bit"), ("norm", 2, "norm"),
     ("gate", 1, "gate"), ("elu", 1, "ELU"), ("gelu", 1, "GELU"), ("extend", 2, "remembers"),
     ("extend_elu", 1, "remembers"), ("embed", 7, "embeddings"), ("draw", 7, "draw")],
)  # fmt: skip
def test_a_function_that_errs_is_found_out(anew, one_compilation, caplog, name, place, told):
    setattr(one_compilation, name, spoiled(getattr(one_compilation, name), place))
    with pytest.raises(TrialError, match=told):
        trial.check(one_compilation)
    assert machine.kernels() is None
    assert machine.described() == "torch"
    (told_so,) = warnings(caplog)
    assert told_so.startswith("products are torch's: no functions for this processor")
    assert told in told_so
    linear = Linear(torch.randn(4, 3))
    assert linear.own is None
    assert linear(torch.randn(2, 3)).shape == (2, 4)


def test_a_call_that_is_not_done_again_is_found_out(one_compilation):
    one_compilation.run = lambda *given: None
    with pytest.raises(TrialError, match="done again"):
        trial.check(one_compilation)


@pytest.mark.parametrize("most", [4, 8])
def test_a_narrow_product_that_errs_is_found_out(one_compilation, most):
    narrow = one_compilation.narrow
    one_compilation.narrow = narrow | {most: spoiled(narrow[most], 2)}
    with pytest.raises(TrialError, match="the product"):
        trial.check(one_compilation)


@pytest.mark.logs_warnings
def test_attention_that_errs_is_found_out(anew, one_compilation, caplog, monkeypatch):
    found = Kernels._found
    monkeypatch.setattr(Kernels, "_found", lambda *given: spoiled(found(*given), 6))
    assert machine.kernels() is one_compilation
    assert not attends(torch.zeros(2, 1, 1, 4, 16))
    assert not attends(torch.zeros(2, 1, 1, 4, 16))
    (told,) = warnings(caplog)
    assert told.startswith("attention over heads of 16 is torch's")


@pytest.mark.logs_warnings
@pytest.mark.parametrize(
    "error", [RuntimeError("unknown CPU"), OSError("no such library"), AttributeError("old")]
)
def test_a_compiler_that_fails_leaves_torch(anew, caplog, monkeypatch, error):
    def failing():
        raise error

    monkeypatch.setattr(machine, "Kernels", failing)
    assert machine.kernels() is None
    assert warnings(caplog) == [f"products are torch's: no functions for this processor ({error})"]


def test_without_the_compiler_torch_computes(anew, caplog, monkeypatch):
    def absent():
        raise ImportError("No module named 'llvmlite'")

    monkeypatch.setattr(machine, "Kernels", absent)
    assert machine.kernels() is None
    assert not warnings(caplog)


def test_all_is_imported_where_the_compiler_is_not():
    """Also the names that the model takes from the kernels."""
    told = (
        "import sys; sys.modules['llvmlite'] = None; import personaplex_server.engines.personaplex"
    )
    told += "; from personaplex_server.kernels import machine; print(machine.described())"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout) == (0, "torch\n"), done.stderr


def test_they_can_be_switched_off(anew, monkeypatch):
    monkeypatch.setenv(machine.SWITCH, "off")
    assert machine.described() == "torch"


def test_who_computes_is_told(native):
    assert machine.described() == f"own ({native.processor})"
    assert native.processor.endswith(f", {native.lanes} lanes")


HARDENED = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(65, 1, 0, 0, 0):
    sys.exit(77)
import logging
logging.basicConfig(format="%(message)s")
from personaplex_server.kernels import machine
print(machine.described())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how this is forbidden differs elsewhere")
def test_a_system_that_forbids_new_machine_code_is_not_crashed(native):
    done = subprocess.run(
        [sys.executable, "-c", HARDENED], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode == 77:
        pytest.skip("this kernel cannot forbid it")
    assert (done.returncode, done.stdout) == (0, "torch\n"), done.stderr
    assert "memory cannot be made executable here" in done.stderr
