"""Checkpoints that the transformers library saved; the recorded conversation's model, laid out anew.

The layouts are judged by the library itself where it is installed (`pytest -m transformers`): it must take what is
written here as its own, and hear and think the same.
"""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from personaplex_server.engines.base import Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import frames, read_audio
from personaplex_server.model.config import CheckpointError, load_config
from personaplex_server.model.foreign import INDEX_FILE, neighbours, open_weights
from personaplex_server.model.layers import rms_norm
from personaplex_server.model.weights import CODEC_FILE, LM_FILE, TEXT_FILE

CPU = torch.device("cpu")


def halves(weight, heads):
    """Return a matrix whose heads turn neighbouring pairs as one whose heads turn halves."""
    pairs = weight.view(heads, -1, 2, weight.shape[1])
    return pairs.transpose(1, 2).reshape(weight.shape)


def moshi_tensors(lm, config):
    """Return the language model's tensors as the library names and shapes them."""
    books, depth = config.own_codebooks, config.depth_dim
    out = {
        "decoder.model.embed_tokens.weight": lm["text_emb.weight"],
        "decoder.lm_head.weight": lm["text_linear.weight"],
        "decoder.model.norm.weight": lm["out_norm.alpha"].flatten(),
        "depth_decoder.text_embed_tokens.weight": lm["depformer_text_emb.weight"],
    }
    for stream in range(config.n_q):
        out[f"embed_tokens.{stream}.weight"] = lm[f"emb.{stream}.weight"]
    for step in range(books - 1):
        out[f"depth_decoder.embed_tokens.{step}.weight"] = lm[f"depformer_emb.{step}.weight"]
    for name, key in (("input_projections", "depformer_in"), ("lm_heads", "linears")):
        stacked = [lm[f"{key}.{step}.weight"] for step in range(books)]
        out[f"depth_decoder.{name}.weight"] = torch.stack(stacked)
    for kind, count in (("transformer", config.num_layers), ("depformer", config.depth_layers)):
        for layer in range(count):
            base = f"{kind}.layers.{layer}"
            deep = kind == "depformer"
            to = f"{'depth_decoder' if deep else 'decoder.model'}.layers.{layer}"
            out[f"{to}.input_layernorm.weight"] = lm[f"{base}.norm1.alpha"].flatten()
            out[f"{to}.post_attention_layernorm.weight"] = lm[f"{base}.norm2.alpha"].flatten()
            joint = lm[f"{base}.self_attn.in_proj_weight"]
            leave = lm[f"{base}.self_attn.out_proj.weight"]
            if deep:
                blocks = joint.view(-1, 3, depth, depth)[:books]
                parts = [blocks[:, index] for index in range(3)]
                leave = leave.view(-1, depth, depth)[:books]
            else:
                query, key, value = joint.chunk(3)
                parts = [halves(query, config.num_heads), halves(key, config.num_heads), value]
            for which, part in zip("qkv", parts, strict=True):
                out[f"{to}.self_attn.{which}_proj.linear.weight"] = part
            out[f"{to}.self_attn.o_proj.linear.weight"] = leave
            for mine, theirs in (("linear_in", "fc1"), ("linear_out", "fc2")):
                if deep:
                    gates = [lm[f"{base}.gating.{step}.{mine}.weight"] for step in range(books)]
                    out[f"{to}.mlp.{theirs}.weight"] = torch.stack(gates)
                else:
                    out[f"{to}.mlp.{theirs}.weight"] = lm[f"{base}.gating.{mine}.weight"]
    return {key: value.contiguous() for key, value in out.items()}


def mimi_tensors(codec, config):
    """Return the codec's tensors as the library names and shapes them."""
    swaps = [
        (r"\.conv\.conv\.conv\.", ".conv."),
        (r"\.convtr\.convtr\.convtr\.", ".conv."),
        (r"\.conv\.conv\.", ".conv."),
        (r"\.convtr\.convtr\.", ".conv."),
        (r"^(encoder|decoder)\.model\.", r"\1.layers."),
        (r"_transformer\.transformer\.", "_transformer."),
        (r"norm1", "input_layernorm"),
        (r"norm2", "post_attention_layernorm"),
        (r"linear([12])", r"mlp.fc\1"),
        (r"layer_scale_1", "self_attn_layer_scale"),
        (r"layer_scale_2", "mlp_layer_scale"),
        (r"out_proj", "o_proj"),
        (r"rvq_first\.", "semantic_residual_vector_quantizer."),
        (r"rvq_rest\.", "acoustic_residual_vector_quantizer."),
        (r"vq\.layers", "layers"),
        (r"_codebook\.(embedding_sum|embed_sum)", "codebook.embed_sum"),
        (r"_codebook\._?(cluster_usage|initialized)", r"codebook.\1"),
    ]
    out = {}
    for name, value in codec.items():
        to = name
        for old, new in swaps:
            to = re.sub(old, new, to)
        if not to.endswith("in_proj_weight"):
            # Only attention has an o_proj; the quantizer's projection keeps its name.
            out[to.replace("quantizer.o_proj", "quantizer.output_proj")] = value
            continue
        query, key, value_ = value.chunk(3)
        heads = config.transformer_heads
        parts = (halves(query, heads), halves(key, heads), value_)
        for which, part in zip("qkv", parts, strict=True):
            out[to.replace("in_proj_weight", f"{which}_proj.weight")] = part.contiguous()
    return out


def library_config(config):
    lm, codec = config.lm, config.codec
    rope = {"rope_theta": lm.max_period, "rope_type": "default"}
    return {
        "model_type": "moshi",
        "hidden_size": lm.dim,
        "vocab_size": lm.text_card,
        "audio_vocab_size": lm.card,
        "num_attention_heads": lm.num_heads,
        "num_key_value_heads": lm.num_heads,
        "num_hidden_layers": lm.num_layers,
        "sliding_window": lm.context,
        "max_position_embeddings": lm.context,
        "num_codebooks": lm.own_codebooks,
        "rope_parameters": rope,
        "depth_decoder_config": {
            "hidden_size": lm.depth_dim,
            "num_attention_heads": lm.depth_heads,
            "num_key_value_heads": lm.depth_heads,
            "num_hidden_layers": lm.depth_layers,
            "num_codebooks": lm.own_codebooks,
            "input_size": lm.dim,
            "vocab_size": lm.text_card,
            "audio_vocab_size": lm.card,
        },
        "audio_encoder_config": {
            "model_type": "mimi",
            "hidden_size": codec.dimension,
            "num_filters": codec.n_filters,
            "upsampling_ratios": list(codec.ratios),
            "num_residual_layers": codec.n_residual_layers,
            "compress": codec.compress,
            "dilation_growth_rate": codec.dilation_base,
            "kernel_size": codec.kernel_size,
            "residual_kernel_size": codec.residual_kernel_size,
            "last_kernel_size": codec.last_kernel_size,
            "audio_channels": 1,
            "use_causal_conv": True,
            "pad_mode": "constant",
            "use_conv_shortcut": not codec.true_skip,
            "sampling_rate": 24_000,
            "vector_quantization_hidden_dimension": codec.code_dim,
            "codebook_dim": codec.code_dim,
            "num_quantizers": codec.stored_codebooks,
            "codebook_size": codec.bins,
            "num_attention_heads": codec.transformer_heads,
            "num_key_value_heads": codec.transformer_heads,
            "head_dim": codec.transformer_dim // codec.transformer_heads,
            "num_hidden_layers": codec.transformer_layers,
            "intermediate_size": codec.transformer_hidden,
            "sliding_window": codec.context,
            "upsample_groups": codec.dimension,
            "rope_parameters": {"rope_theta": codec.max_period, "rope_type": "default"},
        },
    }


@pytest.fixture(scope="module")
def tensors(parity):
    config = load_config(parity.checkpoint)
    lm = moshi_tensors(load_file(parity.checkpoint / LM_FILE), config.lm)
    codec = mimi_tensors(load_file(parity.checkpoint / CODEC_FILE), config.codec)
    return config, lm, codec


@pytest.fixture
def folder(tmp_path, parity, tensors):
    """A folder of its own layout: sizes in the library's keys, nothing in it yet but the text's pieces."""
    config, _, _ = tensors
    (tmp_path / "config.json").write_text(json.dumps(library_config(config)))
    shutil.copy(parity.checkpoint / TEXT_FILE, tmp_path / "tokenizer.model")
    return tmp_path


def answers(folder, parity, count=12):
    engine = PersonaPlexEngine.load(folder, device="cpu", dtype="float32")
    voice = parity.folder / "voice.wav"
    for _ in engine.opening_with(0, voice, parity.text, Sampling.greedy()):
        pass
    said = frames(read_audio(parity.folder / "user.wav"))[:count]
    return [engine.tick({0: frame})[0].tokens for frame in said]


def check(folder, parity, count=12):
    begin = int(parity.expected["e2e/prompt_steps"])
    expected = parity.expected["e2e/tokens"][begin : begin + count, :9]
    np.testing.assert_array_equal(answers(folder, parity, count), expected)


def test_sizes_are_read(folder, tensors):
    assert load_config(folder) == tensors[0]


def test_one_file_with_the_codec_inside(folder, parity, tensors):
    _, lm, codec = tensors
    inside = {f"audio_encoder.{key}": value for key, value in codec.items()}
    save_file(lm | inside, folder / LM_FILE)
    check(folder, parity)


def test_pieces_and_a_codec_of_its_own(folder, parity, tensors):
    _, lm, codec = tensors
    save_file(codec, folder / CODEC_FILE)
    names = sorted(lm)
    pieces = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, part in pieces.items():
        save_file({name: lm[name] for name in part}, folder / file)
    where = {name: file for file, part in pieces.items() for name in part}
    (folder / INDEX_FILE).write_text(json.dumps({"weight_map": where}))
    check(folder, parity)


def test_the_codec_alone_in_the_librarys_layout(tmp_path, parity, tensors):
    folder = tmp_path / "mixed"
    shutil.copytree(parity.checkpoint, folder)
    save_file(tensors[2], folder / CODEC_FILE)
    check(folder, parity)


def test_a_missing_tensor_is_named_as_it_is_stored(folder, tensors):
    config, whole, codec = tensors
    missing = "decoder.model.layers.0.self_attn.k_proj.linear.weight"
    lm = {key: value for key, value in whole.items() if key != missing}
    save_file(
        lm | {f"audio_encoder.{key}": value for key, value in codec.items()}, folder / LM_FILE
    )
    file, _ = open_weights(folder, config, CPU, torch.float32)
    with pytest.raises(CheckpointError, match=re.escape(f"lacks “{missing}”")):
        file.take("transformer.layers.0.self_attn.in_proj_weight", (384, 128))


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"weight_map": {"a": "../b"}}', '{"weight_map": {}}']
)
def test_an_index_that_cannot_be_used(folder, content):
    (folder / INDEX_FILE).write_text(content)
    with pytest.raises(CheckpointError, match="get it again"):
        open_weights(folder, load_config(folder), CPU, torch.float32)


def test_heads_are_turned_back():
    weight = torch.arange(8 * 3).view(8, 3)
    assert halves(weight, 2)[:, 0].tolist() == [0, 6, 3, 9, 12, 18, 15, 21]
    assert torch.equal(neighbours(halves(weight, 2), 2), weight)


@pytest.fixture
def taken():
    """Have the library take tensors as its own: every one, and nothing missing."""
    transformers = pytest.importorskip("transformers")
    transformers.utils.logging.disable_progress_bar()

    def take(kind, sizes, state):
        model, told = getattr(transformers, kind).from_pretrained(
            None, config=sizes, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
        assert not told["missing_keys"]
        assert not told["unexpected_keys"]
        assert not told["mismatched_keys"]
        return model.eval()

    return take


@pytest.mark.transformers
def test_the_library_takes_the_codec_and_hears_the_same(parity, tensors, taken):
    transformers = pytest.importorskip("transformers")
    config, _, codec = tensors
    sizes = transformers.MimiConfig(**library_config(config)["audio_encoder_config"])
    model = taken("MimiModel", sizes, codec)
    pcm = torch.from_numpy(np.concatenate(frames(read_audio(parity.folder / "user.wav"))))
    books = config.lm.own_codebooks
    codes = model.encode(pcm.view(1, 1, -1), num_quantizers=books).audio_codes[0]
    # The two differ in one slot of the attention's window once it is full, so only the frames before are compared.
    count = (config.codec.context - 1) // config.codec.positions
    expected = parity.expected["mimi/codes"][:, :count]
    np.testing.assert_array_equal(codes[:, :count].numpy(), expected)
    sound = model.decode(torch.from_numpy(expected[None].astype(np.int64))).audio_values[0, 0]
    np.testing.assert_allclose(sound.numpy(), parity.expected["mimi/pcm"][: len(sound)], atol=1e-4)


@pytest.mark.transformers
def test_the_library_takes_the_language_model_and_thinks_the_same(parity_model, tensors, taken):
    transformers = pytest.importorskip("transformers")
    config, lm, codec = tensors
    raw = library_config(config)
    del raw["model_type"]
    raw["ffn_dim"] = lm["decoder.model.layers.0.mlp.fc1.weight"].shape[0]
    raw["depth_decoder_config"]["ffn_dim"] = lm["depth_decoder.layers.0.mlp.fc1.weight"].shape[1]
    inside = {f"audio_encoder.{key}": value for key, value in codec.items()}
    model = taken("MoshiForConditionalGeneration", transformers.MoshiConfig(**raw), lm | inside)
    ours = parity_model.lm
    tokens = torch.randint(2, 50, (30, 17), generator=torch.Generator().manual_seed(3))
    embeddings = ours.embed(tokens)
    theirs = model.decoder(inputs_embeds=embeddings.unsqueeze(0)).logits[0]
    thought = rms_norm(ours.extend(ours.room(30), embeddings, 0), ours.out_norm)
    np.testing.assert_allclose(ours.text_head(thought).numpy(), theirs.numpy(), atol=1e-4)
