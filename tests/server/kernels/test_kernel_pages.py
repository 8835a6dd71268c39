"""Memory in large pages for weights: each piece for itself, of any size, and usual memory where there are none."""

from __future__ import annotations

import pytest
import torch

from personaplex_server.kernels.pages import Pages

SIZES = (1, 3, 64, 1000, 70_000, 9_000_000)


@pytest.fixture(params=[True, False], ids=["large pages", "usual pages"])
def pages(request):
    made = Pages()
    if request.param and not made.large:
        pytest.skip("this system has no large pages")
    made.large = request.param
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8], ids=str)
def test_what_is_written_to_one_piece_stays_out_of_the_others(pages, dtype):
    pieces = [pages.empty(size, dtype).fill_(number) for number, size in enumerate(SIZES)]
    for number, (piece, size) in enumerate(zip(pieces, SIZES, strict=True)):
        assert piece.shape == (size,)
        assert (piece == number).all()
        assert piece.data_ptr() % 64 == 0


def test_a_piece_is_counted_with_its_own_size_only(pages):
    pages.empty(5, torch.float32)
    assert pages.empty(100, torch.float32).untyped_storage().nbytes() == 400


def test_nothing_can_be_asked_for(pages):
    assert pages.empty(0, torch.float32).shape == (0,)


def test_a_piece_outlives_those_beside_it(pages):
    kept = pages.empty(1000, torch.float32).fill_(7.0)
    for _ in range(5):
        pages.empty(9_000_000, torch.float32).fill_(1.0)
    assert (kept == 7.0).all()
