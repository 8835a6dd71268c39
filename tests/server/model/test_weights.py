"""Every fault of a model folder is one clear sentence that names the file or the key."""

from __future__ import annotations

import json
import shutil
import traceback

import pytest
import torch
from safetensors.torch import load_file, save_file

from personaplex_server.engines.base import EngineError
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.config import CheckpointError, LmConfig, load_config
from personaplex_server.model.weights import CODEC_FILE, LM_FILE, TEXT_FILE, TensorFile


@pytest.fixture
def folder(parity, tmp_path):
    copy = tmp_path / "model"
    copy.mkdir()
    for name in (LM_FILE, CODEC_FILE, TEXT_FILE, "config.json"):
        shutil.copy(parity.checkpoint / name, copy / name)
    return copy


def change(folder, file, edit):
    tensors = load_file(folder / file)
    edit(tensors)
    save_file(tensors, folder / file)


def configure(folder, section, **values):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    (config[section] if section else config).update(values)
    path.write_text(json.dumps(config))


def fault(folder, **options):
    """Load and return what is told, having seen that it is a sentence and no traceback."""
    with pytest.raises(EngineError) as caught:
        PersonaPlexEngine.load(folder, device="cpu", **options)
    text = str(caught.value)
    assert text
    assert text[-1] == "."
    assert "\n" not in text
    assert traceback.format_exception(caught.value)
    return text


def test_the_untouched_copy_loads(folder):
    assert PersonaPlexEngine.load(folder, device="cpu").voices() == []


def test_no_folder(tmp_path):
    assert "does not exist" in fault(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [LM_FILE, CODEC_FILE, TEXT_FILE])
def test_missing_file(folder, name):
    (folder / name).unlink()
    text = fault(folder)
    assert name in text
    assert "missing" in text


@pytest.mark.parametrize("name", [LM_FILE, CODEC_FILE, TEXT_FILE])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not what it should be", b"\xff" * 4096])
def test_other_content(folder, name, content):
    (folder / name).write_bytes(content)
    assert name in fault(folder)


@pytest.mark.parametrize("name", [LM_FILE, CODEC_FILE])
@pytest.mark.parametrize("keep", [4, 3000, 400_000])
def test_truncated(folder, name, keep):
    (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    text = fault(folder)
    assert name in text
    assert "incomplete" in text


@pytest.mark.parametrize(
    ("file", "key"),
    [
        (LM_FILE, "text_emb.weight"),
        (LM_FILE, "emb.15.weight"),
        (LM_FILE, "out_norm.alpha"),
        (LM_FILE, "transformer.layers.2.gating.linear_out.weight"),
        (LM_FILE, "depformer_in.7.weight"),
        (LM_FILE, "depformer_emb.6.weight"),
        (LM_FILE, "depformer.layers.1.self_attn.in_proj_weight"),
        (LM_FILE, "depformer.layers.0.gating.7.linear_in.weight"),
        (CODEC_FILE, "encoder.model.0.conv.conv.bias"),
        (CODEC_FILE, "decoder.model.11.convtr.convtr.weight"),
        (CODEC_FILE, "downsample.conv.conv.conv.weight"),
        (CODEC_FILE, "quantizer.rvq_rest.vq.layers.6._codebook.embedding_sum"),
        (CODEC_FILE, "decoder_transformer.transformer.layers.1.layer_scale_2.scale"),
    ],
)
@pytest.mark.parametrize("how", ["missing", "larger", "whole numbers", "single number"])
def test_wrong_tensor(folder, file, key, how):
    def edit(tensors):
        tensor = tensors.pop(key)
        if how == "larger":
            tensors[key] = torch.cat([tensor, tensor[:1]]).contiguous()
        elif how == "single number":
            tensors[key] = torch.tensor(1.0)
        elif how == "whole numbers":
            tensors[key] = torch.zeros(tensor.shape, dtype=torch.int8)

    change(folder, file, edit)
    text = fault(folder)
    assert file in text
    assert key in text


@pytest.mark.parametrize(
    "key",
    ["depformer_in.8.weight", "depformer_emb.7.weight", "linears.15.weight",
     "depformer.layers.0.gating.12.linear_in.weight"],
)  # fmt: skip
def test_steps_for_the_callers_audio_are_not_needed(folder, key):
    change(folder, LM_FILE, lambda tensors: tensors.pop(key))
    PersonaPlexEngine.load(folder, device="cpu")


def test_a_file_of_eight_steps_answers_the_same(folder, parity, load_model, converse):
    from personaplex_server.model.prompt import build_prompt

    def cut(tensors):
        for key in list(tensors):
            parts = key.split(".")
            if (parts[0] in ("depformer_in", "linears") and int(parts[1]) > 7) or (
                parts[0] == "depformer_emb" and int(parts[1]) > 6
            ):
                del tensors[key]
            elif "depformer" in key and "self_attn" in key:
                tensors[key] = tensors[key][: len(tensors[key]) // 2].contiguous()
            elif "depformer" in key and "gating" in key and int(parts[4]) > 7:
                del tensors[key]

    change(folder, LM_FILE, cut)
    lm = load_model(folder).lm
    got = converse(lm, build_prompt(lm.config, None, []), parity.inputs["user_codes"].T)
    assert (got.tokens == parity.expected["noprompt/tokens"][:, :9]).all()


def test_without_config_the_released_sizes_are_expected(folder):
    (folder / "config.json").unlink()
    text = fault(folder)
    assert CODEC_FILE in text
    assert "[64, 1, 7] is expected" in text
    assert load_config(folder).lm == LmConfig()


def test_the_released_config_says_no_sizes(folder):
    (folder / "config.json").write_text('{"model_type": "personaplex", "version": "7b-v1"}')
    assert load_config(folder).lm == LmConfig()


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "null", '{"lm": 5}', '{"seanet": []}'])
def test_config_that_is_no_config(folder, content):
    (folder / "config.json").write_text(content)
    assert "config.json" in fault(folder)


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("lm", {"dim": 65}, "width 65"),
        ("lm", {"dim": "64"}, "lm.dim"),
        ("lm", {"dim": True}, "lm.dim"),
        ("lm", {"dim": 128}, LM_FILE),
        ("lm", {"num_layers": 4}, "transformer.layers.3"),
        ("lm", {"num_layers": -1}, "num_layers"),
        ("lm", {"num_heads": 3}, "heads"),
        ("lm", {"context": 1}, "lm.context"),
        ("lm", {"context": None}, "lm.context"),
        ("lm", {"delays": [0, 0, 1]}, "delays"),
        ("lm", {"delays": [0] * 16 + [-1]}, "delays"),
        ("lm", {"delays": "none"}, "delays"),
        ("lm", {"norm": "layer_norm"}, "lm.norm"),
        ("lm", {"gating": "none"}, "lm.gating"),
        ("lm", {"positional_embedding": "sin"}, "positional_embedding"),
        ("lm", {"dep_q": 4}, "dep_q"),
        ("lm", {"n_q": 7}, "n_q"),
        ("lm", {"existing_text_padding_id": 512}, "existing_text_padding_id"),
        ("lm", {"max_period": 0}, "max_period"),
        ("seanet", {"ratios": [7, 7]}, "ratios"),
        ("seanet", {"ratios": []}, "ratios"),
        ("seanet", {"n_filters": 8}, CODEC_FILE),
        ("seanet", {"activation": "ReLU"}, "activation"),
        ("seanet", {"compress": 5}, "compress"),
        ("seanet", {"channels": 2}, "channels"),
        ("quantizer", {"n_q": 4}, "n_q"),
        ("quantizer", {"bins": 1024}, "bins"),
        ("quantizer", {"input_dimension": 32}, "input_dimension"),
        ("mimi_transformer", {"context": 2}, "context"),
        ("mimi_transformer", {"d_model": 66}, "heads"),
        ("", {"sample_rate": 16000}, "sample_rate"),
        ("", {"frame_rate": 25}, "frame_rate"),
    ],
)
def test_config_that_cannot_be_run(folder, section, values, said):
    configure(folder, section, **values)
    assert said in fault(folder)


def test_a_context_that_no_memory_holds(folder):
    configure(folder, "lm", context=1 << 24, num_heads=4)
    assert "does not fit into the memory" in fault(folder, rows=1 << 16)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "float16"}, "dtype"),
        ({"rows": 0}, "row"),
        ({"threads": 0}, "thread"),
    ],
)
def test_options(folder, options, said):
    assert said in fault(folder, **options)


@pytest.mark.parametrize("device", ["tpu", "meta", "cuda", ""])
def test_devices(folder, device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match="choose"):
        PersonaPlexEngine.load(folder, device=device)


def test_bfloat16_speaks(folder):
    import numpy as np

    from personaplex_server.engines.base import Persona

    engine = PersonaPlexEngine.load(folder, device="cpu", dtype="bfloat16")
    assert engine.describe()["dtype"] == "bfloat16"
    engine.open(0, Persona(text="Be brief."))
    for _ in range(4):
        answer = engine.tick({0: np.zeros(1920, np.float32)})[0]
        assert np.isfinite(answer.pcm).all()
        assert len(answer.tokens) == 9


def test_progress_rises_to_one(folder):
    seen = []
    PersonaPlexEngine.load(
        folder, device="cpu", progress=lambda share, doing: seen.append((share, doing))
    )
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len(seen) > 50
    assert {doing for _, doing in seen} == {"reading the weights", "warming up", "ready"}


def test_tensors_are_copies(folder):
    file = TensorFile(folder / LM_FILE, torch.device("cpu"), torch.bfloat16)
    tensor = file.take("out_norm.alpha", (1, 1, 64))
    before = tensor.clone()
    with open(folder / LM_FILE, "r+b") as raw:
        raw.seek(-1000, 2)
        raw.write(b"\0" * 1000)
    assert torch.equal(tensor, before)
    with pytest.raises(CheckpointError, match="no_such"):
        file.take("no_such", (1,))
