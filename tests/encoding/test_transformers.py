"""Sentence encoders, CLIP and SigLIP through transformers."""

import numpy as np
import pytest
from PIL import Image

from urecjpq.encoding import Work, encode_contents, load_encoder
from urecjpq.encoding.libraries import import_library, mend_torchvision
from urecjpq.errors import InputError
from urecjpq.testing import shared_data
from urecjpq.testing_encoders import encoder_card, minilm_folder

WORDS = ["red", "blue", "ball", "kite", "drum", "a", "the"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def titles():
    movies = (shared_data() / "ml-1m" / "movies.dat").read_text(encoding="latin-1")
    return [line.split("::")[1] for line in movies.splitlines()[:500]]


@pytest.fixture(scope="module")
def minilm():
    return load_encoder("minilm", minilm_folder())


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    """A small SigLIP with random weights, as the hub would have it."""
    library = import_library("transformers", "text", "a test")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("siglip")
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 2}
    config = library.SiglipConfig(
        text_config=shape
        | {"vocab_size": len(WORDS) + 3, "max_position_embeddings": 16, "projection_size": 32},
        vision_config=shape | {"image_size": 32, "patch_size": 16},
    )
    library.utils.logging.disable_progress_bar()
    library.SiglipModel(config).eval().save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(["<unk>", "</s>", "<pad>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    library.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(folder)
    library.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_minilm_agrees_with_sentence_transformers(minilm, titles):
    mend_torchvision()
    library = pytest.importorskip("sentence_transformers")
    ours = encode_contents(minilm, titles).features.values
    oracle = library.SentenceTransformer(str(minilm_folder()), device="cpu")
    theirs = oracle.encode(titles, normalize_embeddings=True, show_progress_bar=False)
    assert len(titles) == 500 and ours.shape == theirs.shape == (500, 384)
    assert (ours * theirs).sum(axis=1).min() > 0.9999


def test_minilm_finds_what_is_meant(minilm):
    texts = ["A film about space travel", "Astronauts fly to the Moon", "How to bake bread"]
    values = encode_contents(minilm, texts).features.values
    cosines = values @ values.T
    assert cosines[0, 1] > cosines[0, 2] + 0.2
    np.testing.assert_allclose(np.diag(cosines), 1, rtol=1e-5)


def test_a_title_is_encoded_as_among_others(minilm, titles, tmp_path, monkeypatch):
    long = " ".join(titles[:100])  # cut at 256 tokens
    small = Work(batch_size=8)
    texts = [*titles[:70], long, "", "日本語 🎬 العربية", "\0"]
    together = encode_contents(minilm, texts, work=small).features
    assert together.present.tolist() == [True] * 71 + [False, True, True]
    assert np.isfinite(together.values).all()
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "other"))
    backwards = encode_contents(minilm, texts[::-1], work=small).features
    assert (backwards.values[::-1] == together.values).all()
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "third"))
    alone = encode_contents(minilm, [titles[5], long], work=small).features
    assert (alone.values == together.values[[5, 70]]).all()


def test_any_number_of_threads_gives_the_same_bits(minilm, titles, tmp_path, monkeypatch):
    import torch

    found = []
    for threads in (1, 2):
        monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / str(threads)))
        torch.set_num_threads(threads)
        found.append(encode_contents(minilm, titles[:64]).features.values.tobytes())
    assert found[0] == found[1]


def test_bfloat16_is_close_for_minilm(minilm, titles):
    exact = encode_contents(minilm, titles[:64]).features.values
    narrow = encode_contents(minilm, titles[:64], work=Work(precision="bfloat16")).features.values
    assert 0.999 < (exact * narrow).sum(axis=1).min() and (exact != narrow).any()


def test_siglip_pads_texts_as_it_was_trained_with(siglip):
    card = encoder_card(
        library="transformers", modality="text", dimension=32, weights=str(siglip)
    ).model_copy(update={"maximum_tokens": 16})
    values = encode_contents(card, ["red ball", "the blue kite"]).features.values
    library = import_library("transformers", "text", "a test")
    tokenizer = library.AutoTokenizer.from_pretrained(siglip)
    network = library.AutoModel.from_pretrained(siglip).eval()
    import torch

    texts = ["red ball", "the blue kite"]
    tokens = tokenizer(texts, padding="max_length", max_length=16, return_tensors="pt")
    with torch.inference_mode():
        states = network.get_text_features(input_ids=tokens["input_ids"]).pooler_output
    expected = torch.nn.functional.normalize(states, dim=-1).numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_siglip_sees_pictures(siglip, tmp_path):
    paths = []
    for colour in ("red", "blue"):
        paths.append(tmp_path / f"{colour}.png")
        Image.new("RGB", (50, 40), colour).save(paths[-1])
    card = encoder_card(library="transformers", dimension=32, weights=str(siglip))
    encoded = encode_contents(card, [*paths, None])
    assert encoded.features.present.tolist() == [True, True, False]
    np.testing.assert_allclose((encoded.features.values**2).sum(1), [1, 1, 0], rtol=1e-5)
    assert abs(encoded.features.values[0] - encoded.features.values[1]).max() > 1e-3


def test_weights_that_do_not_fit_are_refused(siglip, tmp_path):
    from safetensors.torch import load_file, save_file

    given = {"library": "transformers", "modality": "text", "dimension": 32, "name": "small"}
    with pytest.raises(InputError, match="weights of small must be a repository or a folder"):
        encode_contents(encoder_card(**given, weights="random:0"), ["red"])
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in siglip.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    tensors = load_file(siglip / "model.safetensors")
    tensors.pop("logit_bias")
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    card = encoder_card(**given, weights=str(broken))
    with pytest.raises(InputError, match="weights of small must fit its config.json; .*logit_bias"):
        encode_contents(card, ["red"])
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="weights of small must be a model of transformers"):
        encode_contents(card, ["red"])
    unpooled = encoder_card(**given, weights=str(siglip)).model_copy(update={"pooling": None})
    with pytest.raises(InputError, match="pooling of small must be mean or projection; got None"):
        encode_contents(unpooled, ["red"])
