"""Products of the processor's own functions: right for every shape, and for a row the same in any company."""

from __future__ import annotations

import itertools
import threading

import pytest
import torch

from personaplex_server.kernels.weights import BLOCK, Weights

OUTPUTS = (1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 70)
INPUTS = (1, 2, 3, 4, 5, 31, 64, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 600)
ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 17, 26, 33, 40, 97, 200)
SHAPES = [
    *itertools.product((1, 5, 13), INPUTS, (1, 17, 33)),
    *itertools.product((1, 6, 7), (3, 300), OUTPUTS),
    *itertools.product(ROWS, (5, 300), (9, 40)),
    *itertools.product((1, 2, 3, 5, 14), (7, 300), (127, 140, 300)),
    *itertools.product((128, 131, 259), (5, 300), (128, 131)),
]


def close(got, wanted, bound):
    """Sums of single-precision numbers err by less than their count times the last place of their terms."""
    assert got.shape == wanted.shape
    assert ((got.double() - wanted).abs() <= bound * 4e-7 + 1e-30).all()


def weights(made, outputs, inputs, *, bias, small):
    """Return weights as functions read them, and as they are, in double precision, with the bias."""
    offset = torch.randn(outputs) if bias else None
    if small:
        weight = torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8)
        scale = torch.rand(outputs) / 64
        exact = weight.double() * scale.double().unsqueeze(1)
        ours = Weights(made, weight, offset, scale=scale)
    else:
        weight = torch.randn(outputs, inputs)
        exact, ours = weight.double(), Weights(made, weight, offset)
    return ours, exact, torch.zeros(outputs) if offset is None else offset


@pytest.mark.parametrize("small", [False, True], ids=["float32", "8 bits"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_products_of_all_shapes(made, bias, small):
    for rows, inputs, outputs in SHAPES:
        ours, exact, offset = weights(made, outputs, inputs, bias=bias, small=small)
        x, total = torch.randn(rows, inputs), torch.randn(rows, outputs)
        wanted = x.double() @ exact.T + offset
        size = x.abs().double() @ exact.abs().T + offset.abs()
        close(ours(x), wanted, size)
        close(ours.onto(total.clone(), x), total + wanted, size + total.abs())


@pytest.mark.parametrize("small", [False, True], ids=["float32", "8 bits"])
def test_a_row_is_the_same_to_the_last_bit_alone_and_in_any_company(made, small):
    for inputs, outputs in ((1, 1), (5, 9), (300, 33), (600, 40), (260, 150)):
        ours, _, _ = weights(made, outputs, inputs, bias=True, small=small)
        x, total = torch.randn(max(ROWS), inputs), torch.randn(max(ROWS), outputs)
        alone = torch.cat([ours(row[None]) for row in x])
        added = torch.cat(
            [ours.onto(t[None].clone(), row[None]) for t, row in zip(total, x, strict=True)]
        )
        for rows in ROWS:
            assert torch.equal(ours(x[:rows]), alone[:rows])
            assert torch.equal(ours(x[-rows:]), alone[-rows:])
            assert torch.equal(ours.onto(total[:rows].clone(), x[:rows]), added[:rows])


def test_a_row_that_went_bad_stays_by_itself(made):
    ours, _, _ = weights(made, 20, 30, bias=True, small=False)
    x = torch.randn(9, 30)
    clean = ours(x)
    x[4, 3] = float("nan")
    x[7, 3] = float("inf")
    got = ours(x)
    good = torch.tensor([0, 1, 2, 3, 5, 6, 8])
    assert torch.equal(got[good], clean[good])
    assert got[4].isnan().all()
    assert not got[7].isfinite().any()


@pytest.mark.parametrize("outputs", [1, 9, 33])
@pytest.mark.parametrize(
    "taps", [[(0, 7)], [(0, 4), (9, 3)], [(5, 300), (0, 2), (400, BLOCK)], [(0, BLOCK), (1, BLOCK)]]
)
def test_windows_whose_inputs_lie_apart(made, taps, outputs):
    inputs = sum(length for _, length in taps)
    weight, bias = torch.randn(outputs, inputs), torch.randn(outputs)
    ours = Weights(made, weight, bias, taps=taps)
    line = torch.randn(4000)
    begins = torch.tensor([0, 3, 3, 1000, 17, 2999, 5])
    x = torch.stack(
        [
            torch.cat([line[start + place : start + place + length] for place, length in taps])
            for start in begins.tolist()
        ]
    )
    size = x.abs().double() @ weight.abs().double().T + bias.abs()
    out = torch.full((7, outputs), float("nan"))
    wanted = x.double() @ weight.double().T + bias
    assert ours.windows(line, begins, out) is out
    close(out, wanted, size)
    close(ours.windows(line, begins, out, onto=True), 2 * wanted, 3 * size)


def test_no_rows_are_no_work(made):
    ours, _, _ = weights(made, 9, 5, bias=True, small=False)
    assert ours(torch.empty(0, 5)).shape == (0, 9)
    assert ours(torch.empty(2, 0, 5)).shape == (2, 0, 9)
    nothing = torch.empty(0, dtype=torch.int64)
    out = torch.full((1, 9), 7.0)
    ours.windows(torch.empty(5), nothing, out)
    assert (out == 7.0).all()


def test_inputs_with_gaps_are_read_as_they_are(made):
    ours, exact, offset = weights(made, 9, 6, bias=True, small=False)
    x = torch.randn(4, 12)[:, ::2]
    close(ours(x), x.double() @ exact.T + offset, x.abs().double() @ exact.abs().T + offset.abs())


def test_many_threads_call_at_once(native):
    ours, _, _ = weights(native, 70, 300, bias=True, small=False)
    inputs = [torch.randn(rows, 300) for rows in (1, 3, 7, 40)]
    wanted = [ours(x) for x in inputs]
    wrong = []

    def work(x, right):
        wrong.extend(1 for _ in range(300) if not torch.equal(ours(x), right))

    threads = [
        threading.Thread(target=work, args=each) for each in zip(inputs, wanted, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


@pytest.mark.parametrize("outputs", [20, 128, 129])
@pytest.mark.parametrize("rows", [1, 2, 3, 13, 140])
def test_rows_may_lie_anywhere(made, outputs, rows):
    """Few outputs read rows that are equally far apart where they lie; all others put them together first."""
    ours, _, _ = weights(made, outputs, 70, bias=False, small=False)
    x = torch.randn(5000)
    equally = torch.arange(rows) * 11
    anywhere = torch.randint(0, 4900, (rows,))
    back = equally.flip(0).contiguous()
    for begins in (equally, anywhere, back, torch.zeros(rows, dtype=torch.int64)):
        found = ours.windows(x, begins, torch.empty(rows, outputs))
        for row, begin in enumerate(begins.tolist()):
            alone = ours(x[begin : begin + 70].unsqueeze(0))[0]
            assert torch.equal(found[row], alone)
