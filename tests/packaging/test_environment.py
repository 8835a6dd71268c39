"""When the environment counts as set up, and how PersonaDesk gets into it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from _setup import environment
from _setup.console import Trouble
from _setup.layout import Layout


def pretend_installed(layout: Layout, *, dev: bool) -> None:
    layout.python.parent.mkdir(parents=True, exist_ok=True)
    layout.python.touch(mode=0o755)
    environment.write_stamp(layout, dev=dev, window=True)


def test_nothing_there_is_not_ready(checkout: Layout) -> None:
    assert not environment.is_ready(checkout, dev=False)


def test_what_is_stamped_is_ready(checkout: Layout) -> None:
    pretend_installed(checkout, dev=False)
    assert environment.is_ready(checkout, dev=False)
    assert not environment.is_ready(checkout, dev=True)


def test_the_development_set_serves_the_app_too(checkout: Layout) -> None:
    pretend_installed(checkout, dev=True)
    assert environment.is_ready(checkout, dev=True)
    assert environment.is_ready(checkout, dev=False)


@pytest.mark.parametrize(
    "changed", ["packaging/locks/desktop.txt", "pyproject.toml", "server/pyproject.toml"]
)
def test_a_changed_lock_or_project_is_installed_again(checkout: Layout, changed: str) -> None:
    pretend_installed(checkout, dev=False)
    with (checkout.root / changed).open("a", encoding="utf-8") as file:
        file.write("# one line more\n")
    assert not environment.is_ready(checkout, dev=False)


def test_a_changed_torch_pin_matters_to_development_alone(checkout: Layout) -> None:
    pin = checkout.locks / "torch.txt"
    for dev in (True, False):
        pretend_installed(checkout, dev=dev)
        pin.write_text(pin.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
        assert environment.is_ready(checkout, dev=dev) is not dev


def test_a_moved_folder_is_not_ready(checkout: Layout) -> None:
    pretend_installed(checkout, dev=False)
    moved = Layout(checkout.root.rename(checkout.root.with_name("moved elsewhere")))
    assert not environment.is_ready(moved, dev=False)


def test_a_python_that_went_away_is_not_ready(checkout: Layout) -> None:
    pretend_installed(checkout, dev=False)
    checkout.python.unlink()
    assert not environment.is_ready(checkout, dev=False)


def test_a_broken_stamp_is_no_stamp(checkout: Layout) -> None:
    pretend_installed(checkout, dev=False)
    checkout.stamp.write_text('{"format": 1, "ro', encoding="utf-8")
    assert not environment.is_ready(checkout, dev=False)


@pytest.fixture
def bare(checkout: Layout) -> Layout:
    """A checkout with an empty environment that has no pip of its own, which is quick to make."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout.venv], check=True)
    return checkout


def test_both_packages_come_from_the_tree_in_a_path_with_spaces(checkout: Layout) -> None:
    environment.make(checkout)
    assert environment.pip_of(checkout)[0] == str(checkout.python)
    environment.install_projects(checkout, dev=True)
    asked = subprocess.run(
        [
            *(checkout.python, "-P", "-c"),
            "import personadesk, personaplex_server, importlib.metadata as m;"
            "print(personadesk.__file__, personaplex_server.__file__, m.version('personadesk'))",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert str(checkout.root / "desktop" / "personadesk") in asked.stdout
    assert str(checkout.server / "personaplex_server") in asked.stdout
    assert checkout.program("personadesk").exists()
    assert checkout.program("personaplex-server").exists()


def test_an_installation_that_fails_leaves_no_stamp_and_tells_what_to_do(bare: Layout) -> None:
    environment.write_stamp(bare, dev=False, window=True)
    (bare.locks / "desktop.txt").write_text("./nowhere.whl --hash=sha256:00\n", encoding="utf-8")
    with pytest.raises(Trouble, match="run the same command again"):
        environment.install(bare, dev=False)
    assert not environment.is_ready(bare, dev=False)
    assert not bare.stamp.exists()
    assert "nowhere.whl" in bare.log.read_text(encoding="utf-8")


def test_an_environment_that_lacks_what_it_should_have_is_called_damaged(bare: Layout) -> None:
    (bare.locks / "desktop.txt").write_text("# nothing at all\n", encoding="utf-8")
    with pytest.raises(Trouble, match="damaged"):
        environment.install(bare, dev=False)
    assert not bare.stamp.exists()


def test_without_a_pip_of_its_own_ours_works_from_outside(bare: Layout) -> None:
    assert "--python" in environment.pip_of(bare)
    environment.install_projects(bare, dev=False)
    assert bare.program("personadesk").exists()
    assert not bare.program("personaplex-server").exists()
