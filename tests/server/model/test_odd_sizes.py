"""Models of sizes that nobody released, against a slow and plain second implementation.

It follows the written description of the reference: whole sequences through torch's own convolutions, attention
over everything with a mask, tokens in a table by position. It shares no code with the server.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file

from personaplex_server.model.config import CodecConfig, LmConfig, ModelConfig
from personaplex_server.model.prompt import VoiceCodes, build_prompt
from personaplex_server.model.weights import CODEC_FILE, LM_FILE


def turn(x, positions, max_period):
    """Rotate interleaved pairs of x [heads, time, width]."""
    width = x.shape[-1]
    frequency = torch.exp(
        torch.arange(width // 2, dtype=torch.float32) * (-math.log(max_period) * 2 / width)
    )
    angle = positions.float()[:, None] * frequency
    real, imaginary = x[..., 0::2], x[..., 1::2]
    out = torch.empty_like(x)
    out[..., 0::2] = real * angle.cos() - imaginary * angle.sin()
    out[..., 1::2] = real * angle.sin() + imaginary * angle.cos()
    return out


def attention(q, k, v, seen):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~seen, float("-inf")).softmax(-1) @ v


class PlainLm:
    """One conversation, stepped call by call, keeping every position for ever."""

    def __init__(self, weights, config):
        self.w = {key: value.float() for key, value in weights.items()}
        self.c = config
        self.inputs = []
        self.value, self.provided = {}, set()
        self.call = 0

    def norm(self, x, key):
        alpha = self.w[key].view(-1)
        return x * alpha * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-8)

    def gate(self, x, key):
        a, b = (x @ self.w[f"{key}.linear_in.weight"].T).chunk(2, -1)
        return (F.silu(a) * b) @ self.w[f"{key}.linear_out.weight"].T

    def think(self):
        c = self.c
        x = torch.stack(self.inputs)
        count = len(x)
        position = torch.arange(count)
        back = position[:, None] - position
        # Once full, the reference's ring hides its oldest slot.
        seen = (back >= 0) & (back < c.context - 1)
        for layer in range(c.num_layers):
            name = f"transformer.layers.{layer}"
            joint = (
                self.norm(x, f"{name}.norm1.alpha") @ self.w[f"{name}.self_attn.in_proj_weight"].T
            )
            q, k, v = joint.view(count, 3, c.num_heads, -1).permute(1, 2, 0, 3)
            mixed = attention(
                turn(q, position, c.max_period), turn(k, position, c.max_period), v, seen
            )
            mixed = mixed.transpose(0, 1).reshape(count, -1)
            x = x + mixed @ self.w[f"{name}.self_attn.out_proj.weight"].T
            x = x + self.gate(self.norm(x, f"{name}.norm2.alpha"), f"{name}.gating")
        return self.norm(x[-1], "out_norm.alpha")

    def speak(self, thought, text, kept):
        c, previous, tokens = self.c, text, []
        width = c.depth_dim
        past = [([], []) for _ in range(c.depth_layers)]
        for step in range(c.own_codebooks):
            table = "depformer_text_emb" if step == 0 else f"depformer_emb.{step - 1}"
            x = (
                self.w[f"depformer_in.{step}.weight"] @ thought
                + self.w[f"{table}.weight"][previous]
            )
            for layer in range(c.depth_layers):
                name = f"depformer.layers.{layer}"
                into = self.w[f"{name}.self_attn.in_proj_weight"][step * 3 * width :][: 3 * width]
                out = self.w[f"{name}.self_attn.out_proj.weight"][step * width :][:width]
                q, k, v = (into @ self.norm(x, f"{name}.norm1.alpha")).view(3, c.depth_heads, -1)
                past[layer][0].append(k)
                past[layer][1].append(v)
                keys, values = (torch.stack(each, 1) for each in past[layer])
                everything = torch.ones(1, step + 1, dtype=torch.bool)
                x = x + out @ attention(q[:, None], keys, values, everything).reshape(-1)
                x = x + self.gate(self.norm(x, f"{name}.norm2.alpha"), f"{name}.gating.{step}")
            chosen = int((self.w[f"linears.{step}.weight"] @ x).argmax())
            previous = chosen if kept[step] is None else kept[step]
            tokens.append(previous)
        return tokens

    def give(self, stream, token):
        place = (stream, self.call + self.c.delays[stream])
        self.value[place] = token
        self.provided.add(place)

    def step(self, user, own=None, text=None):
        """Give a call what is known of it; return its frame, or None."""
        c = self.c
        own_count = c.own_codebooks
        for index, token in enumerate(user):
            self.give(1 + own_count + index, int(token))
        for index, token in enumerate(own if own is not None else ()):
            self.give(1 + index, int(token))
        if text is not None:
            self.give(0, int(text))
        for stream, delay in enumerate(c.delays):
            if self.call <= delay:
                place = (stream, self.call)
                self.value[place] = c.card if stream else c.text_card
                self.provided.add(place)
        call, self.call = self.call, self.call + 1
        if call == 0:
            return None
        row = [self.value[stream, call - 1] for stream in range(c.streams)]
        x = self.w["text_emb.weight"][row[0]].clone()
        for stream in range(c.n_q):
            x += self.w[f"emb.{stream}.weight"][row[1 + stream]]
        self.inputs.append(x)
        thought = self.think()
        kept = [
            self.value[s, call] if (s, call) in self.provided else None
            for s in range(1 + own_count)
        ]
        said = (
            int((self.w["text_linear.weight"] @ thought).argmax()) if kept[0] is None else kept[0]
        )
        frame = [said, *self.speak(thought, said, kept[1:])]
        for stream, token in enumerate(frame):
            self.value[stream, call] = token
        if call <= c.max_delay:
            return None
        return [self.value[s, call - c.max_delay + c.delays[s]] for s in range(1 + own_count)]


TEXT = [290, 5, 17, 33, 299, 41, 77]
LM_SIZES = {
    "three heads, wrapping context, 8 steps": (
        LmConfig(dim=48, text_card=300, num_heads=3, num_layers=2, context=24, depth_dim=24,
                 depth_heads=3, depth_layers=1),
        8,
    ),
    "context shorter than the prompt": (
        LmConfig(dim=32, text_card=300, num_heads=1, num_layers=1, context=7, depth_dim=12,
                 depth_heads=4, depth_layers=3, max_period=500.0),
        16,
    ),
    "longer delays": (
        LmConfig(dim=32, text_card=300, num_heads=4, num_layers=3, context=33, depth_dim=16,
                 depth_heads=1, depth_layers=2,
                 delays=(0, 0, 1, 1, 2, 2, 3, 3, 3, 0, 1, 1, 2, 2, 3, 3, 3)),
        8,
    ),
    "delayed text": (
        LmConfig(dim=32, text_card=300, num_heads=4, num_layers=1, depth_dim=16, depth_heads=2,
                 depth_layers=1, delays=(2, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1)),
        12,
    ),
    "no delays, five codebooks": (
        LmConfig(dim=40, text_card=300, n_q=10, num_heads=2, num_layers=2, depth_dim=16,
                 depth_heads=2, depth_layers=2, delays=(0,) * 11),
        5,
    ),
}  # fmt: skip
SMALL_CODEC = CodecConfig(
    dimension=16, n_filters=2, ratios=(8, 6, 5, 8), transformer_dim=16, transformer_heads=2,
    transformer_layers=1, transformer_hidden=16, code_dim=4, stored_codebooks=8,
)  # fmt: skip


@pytest.mark.parametrize("with_voice", [True, False], ids=["voice", "no voice"])
@pytest.mark.parametrize("sizes", LM_SIZES)
def test_language_model(sizes, with_voice, write_checkpoint, load_model, converse):
    lm, steps = LM_SIZES[sizes]
    folder = write_checkpoint(ModelConfig(lm, SMALL_CODEC), steps=steps)
    model = load_model(folder)
    assert model.config.lm == lm
    plain = PlainLm(load_file(folder / LM_FILE), lm)
    random = np.random.default_rng(5)
    voice = random.integers(lm.card, size=(5, lm.own_codebooks)) if with_voice else None
    prompt = build_prompt(lm, None if voice is None else VoiceCodes(voice), TEXT)
    user = random.integers(lm.card, size=(30, lm.n_q - lm.own_codebooks))
    for row in prompt.tokens:
        plain.step(row[1 + lm.own_codebooks :], row[1 : 1 + lm.own_codebooks], row[0])
    expected = [plain.step(codes) for codes in user]
    got = converse(model.lm, prompt, user).tokens.tolist()
    assert got == expected


@pytest.mark.parametrize("sizes", LM_SIZES)
def test_language_model_without_a_prompt(sizes, write_checkpoint, load_model, converse):
    lm, steps = LM_SIZES[sizes]
    folder = write_checkpoint(ModelConfig(lm, SMALL_CODEC), steps=steps)
    plain = PlainLm(load_file(folder / LM_FILE), lm)
    user = np.random.default_rng(6).integers(lm.card, size=(12, lm.n_q - lm.own_codebooks))
    expected = [plain.step(codes) for codes in user]
    got = converse(load_model(folder).lm, build_prompt(lm, None, []), user).tokens.tolist()
    silent = [-1] * (1 + lm.own_codebooks)
    assert got == [silent if each is None else each for each in expected]


class PlainCodec:
    """Whole sequences at once."""

    def __init__(self, weights, config, used):
        self.w, self.c, self.used = weights, config, used

    def conv(self, x, name, stride=1, dilation=1, replicate=False):
        weight, bias = self.w[f"{name}.weight"], self.w.get(f"{name}.bias")
        pad = (weight.shape[-1] - 1) * dilation + 1 - stride
        x = F.pad(x, (pad, 0), mode="replicate") if replicate else F.pad(x, (pad, 0))
        return F.conv1d(x, weight, bias, stride=stride, dilation=dilation)

    def up(self, x, name, stride, groups=1):
        weight, bias = self.w[f"{name}.weight"], self.w.get(f"{name}.bias")
        out = F.conv_transpose1d(x, weight, bias, stride=stride, groups=groups)
        return out[..., : x.shape[-1] * stride]

    def residual(self, x, name, dilation):
        y = self.conv(F.elu(x), f"{name}.block.1.conv.conv", dilation=dilation)
        y = self.conv(F.elu(y), f"{name}.block.3.conv.conv")
        return y + (x if self.c.true_skip else self.conv(x, f"{name}.shortcut.conv.conv"))

    def transformer(self, x, name):
        c, w = self.c, self.w
        x = x[0].T
        if c.transformer_dim != c.dimension:
            x = x @ w[f"{name}.input_proj.weight"].T
        count = len(x)
        position = torch.arange(count)
        # A frame's positions enter the ring together, and its oldest slot is hidden once it is full.
        end = (position // c.positions + 1) * c.positions
        oldest = torch.where(end >= c.context, end - c.context + 1, 0)
        seen = (position <= position[:, None]) & (position >= oldest[:, None])
        for layer in range(c.transformer_layers):
            key = f"{name}.transformer.layers.{layer}."
            scales = [
                w[f"{key}layer_scale_{n}.scale"] if c.transformer_scaled else 1.0 for n in (1, 2)
            ]
            dim = (c.transformer_dim,)
            y = F.layer_norm(x, dim, w[f"{key}norm1.weight"], w[f"{key}norm1.bias"], 1e-5)
            joint = (y @ w[f"{key}self_attn.in_proj_weight"].T).view(
                count, 3, c.transformer_heads, -1
            )
            q, k, v = joint.permute(1, 2, 0, 3)
            mixed = attention(
                turn(q, position, c.max_period), turn(k, position, c.max_period), v, seen
            )
            mixed = mixed.transpose(0, 1).reshape(count, -1)
            x = x + scales[0] * (mixed @ w[f"{key}self_attn.out_proj.weight"].T)
            y = F.layer_norm(x, dim, w[f"{key}norm2.weight"], w[f"{key}norm2.bias"], 1e-5)
            x = x + scales[1] * (
                F.gelu(y @ w[f"{key}linear1.weight"].T) @ w[f"{key}linear2.weight"].T
            )
        if c.transformer_dim != c.dimension:
            x = x @ w[f"{name}.output_projs.0.weight"].T
        return x.T[None]

    def book(self, name):
        usage = self.w[f"{name}.cluster_usage"].clamp(min=1e-5)
        return self.w[f"{name}.embedding_sum"] / usage[:, None]

    def branches(self):
        yield "quantizer.rvq_first", 1
        yield "quantizer.rvq_rest", self.used - 1

    def encode(self, pcm):
        c = self.c
        x = self.conv(pcm.view(1, 1, -1), "encoder.model.0.conv.conv")
        index = 1
        for ratio in reversed(c.ratios):
            for block in range(c.n_residual_layers):
                x = self.residual(x, f"encoder.model.{index}", c.dilation_base**block)
                index += 1
            x = self.conv(F.elu(x), f"encoder.model.{index + 1}.conv.conv", stride=ratio)
            index += 2
        x = self.conv(F.elu(x), f"encoder.model.{index + 1}.conv.conv")
        x = self.transformer(x, "encoder_transformer")
        if c.positions > 1:
            x = self.conv(x, "downsample.conv.conv.conv", stride=c.positions, replicate=True)
        codes = []
        for name, count in self.branches():
            rest = F.conv1d(x, self.w[f"{name}.input_proj.weight"])[0].T
            for layer in range(count):
                book = self.book(f"{name}.vq.layers.{layer}._codebook")
                code = torch.cdist(rest.double(), book.double()).argmin(-1)
                rest = rest - book[code]
                codes.append(code)
        return torch.stack(codes, 1)

    def decode(self, codes):
        c, x, index = self.c, 0.0, 0
        for name, count in self.branches():
            total = 0.0
            for layer in range(count):
                total = total + self.book(f"{name}.vq.layers.{layer}._codebook")[codes[:, index]]
                index += 1
            x = x + F.conv1d(total.T[None], self.w[f"{name}.output_proj.weight"])
        if c.positions > 1:
            x = self.up(x, "upsample.convtr.convtr.convtr", c.positions, groups=c.dimension)
        x = self.transformer(x, "decoder_transformer")
        x = self.conv(x, "decoder.model.0.conv.conv")
        index = 1
        for ratio in c.ratios:
            x = self.up(F.elu(x), f"decoder.model.{index + 1}.convtr.convtr", ratio)
            index += 2
            for block in range(c.n_residual_layers):
                x = self.residual(x, f"decoder.model.{index}", c.dilation_base**block)
                index += 1
        return self.conv(F.elu(x), f"decoder.model.{index + 1}.conv.conv")[0, 0]


CODEC_SIZES = {
    "many positions, dilated blocks, projected transformer": CodecConfig(
        dimension=24, n_filters=4, ratios=(5, 4, 3, 2), n_residual_layers=3, compress=1,
        dilation_base=3, kernel_size=5, residual_kernel_size=5, last_kernel_size=5, true_skip=False,
        transformer_dim=16, transformer_heads=2, transformer_layers=2, transformer_hidden=20,
        transformer_scaled=False, context=50, max_period=100.0, code_dim=6, bins=32,
        stored_codebooks=11,
    ),
    "no downsampling": replace(SMALL_CODEC, bins=64, context=9),
    "three strides, no blocks": CodecConfig(
        dimension=12, n_filters=3, ratios=(10, 8, 6), n_residual_layers=0, compress=3, kernel_size=3,
        last_kernel_size=1, transformer_dim=12, transformer_heads=3, transformer_layers=1,
        transformer_hidden=8, context=20, code_dim=5, bins=100, stored_codebooks=8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("sizes", CODEC_SIZES)
def test_codec(sizes, write_checkpoint, load_model, encode, decode):
    codec = CODEC_SIZES[sizes]
    lm = LmConfig(
        dim=16, text_card=300, card=codec.bins, num_heads=2, num_layers=1, depth_dim=8,
        depth_heads=2, depth_layers=1,
    )  # fmt: skip
    folder = write_checkpoint(ModelConfig(lm, codec))
    model = load_model(folder)
    assert model.config.codec == codec
    plain = PlainCodec(load_file(folder / CODEC_FILE), codec, lm.own_codebooks)
    random = np.random.default_rng(3)
    pcm = (random.standard_normal(16 * 1920) * np.repeat(random.random(16), 1920)).astype(
        np.float32
    )
    codes = encode(model.codec, pcm.reshape(16, 1920))
    np.testing.assert_array_equal(codes, plain.encode(torch.from_numpy(pcm)).numpy())
    expected = plain.decode(torch.from_numpy(codes)).numpy()
    got = decode(model.codec, codes)
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
