"""Contents → rows on disk → features: reuse, resuming, processes; with an encoder of one's own."""

import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from urecjpq.encoding import Work, encode_contents
from urecjpq.encoding.rows import RowStore, key_of
from urecjpq.errors import InputError, Unreadable
from urecjpq.testing_encoders import encoder_card

CARD = encoder_card(name="bands", library="own", modality="audio", dimension=8)


class Bands:
    """An encoder of sounds: how loud each band of frequencies is."""

    def __init__(self):
        self.encoded = []

    def read(self, content):
        try:
            with wave.open(str(content)) as sound:
                frames = sound.readframes(sound.getnframes())
        except (wave.Error, EOFError):
            raise Unreadable(f"{content} must be a WAV file.", "not a sound") from None
        samples = np.frombuffer(frames, dtype=np.int16).astype(np.float32) / 2**15
        seconds = -(-len(samples) // 800)
        return np.pad(samples, (0, seconds * 800 - len(samples)))

    def encode(self, inputs, precision):
        self.encoded.append(inputs.shape)
        power = np.abs(np.fft.rfft(inputs, axis=1))[:, 1:401]
        bands = power.reshape(len(inputs), 8, -1).mean(-1)
        return bands.astype(np.float16 if precision == "bfloat16" else np.float32) + np.float32(0)


def save_sound(path, tone, length=800):
    samples = (np.sin(np.arange(length) * tone) * 20_000).astype(int)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(struct.pack(f"<{length}h", *samples))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def sounds(tmp_path):
    """Fifty sounds of two lengths; one repeated, one damaged, one absent, one gone."""
    lengths = [800 if number % 3 else 1600 for number in range(50)]
    paths = [
        save_sound(tmp_path / f"{number}.wav", 0.02 * (number + 1), length)
        for number, length in enumerate(lengths)
    ]
    (tmp_path / "damaged.wav").write_bytes(b"RIFF")
    return [*paths, paths[7], tmp_path / "damaged.wav", None, tmp_path / "gone.wav"]


def encode(contents, **given):
    encoder = Bands()
    work = Work(batch_size=8, save_every=0, **given)
    return encode_contents(CARD, contents, work=work, encoder=encoder), encoder


def stored_keys(cache):
    (folder,) = (cache / "encoded").iterdir()
    from urecjpq.files import read_tensors

    shards = [
        read_tensors(path)[0]["keys"].numpy().view("S32")
        for path in folder.glob("[0-9a-f]*.safetensors")
    ]
    return np.concatenate(shards)


def test_sounds_become_features_and_what_is_missing_is_named(sounds):
    encoded, encoder = encode(sounds)
    assert encoded.features.values.shape == (54, 8) and encoded.encoded == 51
    assert encoded.features.present.tolist() == [True] * 51 + [False] * 3
    assert not encoded.features.values[51:].any()
    assert (encoded.features.values[50] == encoded.features.values[7]).all()
    expected = {"not a sound": 1, "nothing to encode": 1, "no such file": 1}
    assert encoded.missing == expected
    manifest = json.loads((encoded.folder / "manifest.json").read_text())
    assert manifest["missing"] == expected and manifest["present"] == 51
    assert manifest["dimension"] == 8 and manifest["encoder"]["revision"] == "1"
    assert {"torch", "numpy"} <= set(manifest["versions"][0])
    lines = (encoded.folder / "missing.tsv").read_text().splitlines()
    assert lines[1:] == ["51\t51\tnot a sound", "52\t52\tnothing to encode", "53\t53\tno such file"]
    assert {shape[0] for shape in encoder.encoded} == {8}  # the last batches are filled up
    assert {shape[1] for shape in encoder.encoded} == {800, 1600}


def test_nothing_is_encoded_twice(sounds):
    first, _ = encode(sounds)
    again, encoder = encode(sounds)
    assert again.encoded == 0 and encoder.encoded == []
    assert again.folder == first.folder and again.missing == first.missing


def test_changed_items_alone_are_encoded_again(sounds, tmp_path):
    before, _ = encode(sounds)
    old = before.features.values.copy()
    save_sound(sounds[3], 0.513)
    save_sound(sounds[20], 0.613)
    after, encoder = encode(sounds)
    assert after.encoded == 2 and len(encoder.encoded) == 1
    changed = (after.features.values != old).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [3, 20]


def test_order_and_batch_size_do_not_matter(sounds, cache, tmp_path, monkeypatch):
    straight, _ = encode(sounds)
    order = np.random.default_rng(0).permutation(len(sounds))
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "other"))
    work = Work(batch_size=16, save_every=100)
    shuffled = encode_contents(CARD, [sounds[i] for i in order], work=work, encoder=Bands())
    assert (shuffled.features.values == straight.features.values[order]).all()
    assert (shuffled.features.present == straight.features.present[order]).all()


def test_card_decides_and_its_name_does_not(sounds):
    encode(sounds)
    work, encoder = Work(batch_size=8), Bands()
    renamed = CARD.model_copy(update={"name": "other", "title": "Other"})
    assert encode_contents(renamed, sounds, work=work, encoder=encoder).encoded == 0
    revised = CARD.model_copy(update={"revision": "2"})
    assert encode_contents(revised, sounds, work=work, encoder=encoder).encoded == 51


def test_half_precision_file_comes_from_the_same_rows(sounds):
    full, _ = encode(sounds)
    half, encoder = encode(sounds, output="float16")
    assert encoder.encoded == [] and half.features.values.dtype == np.float16
    np.testing.assert_allclose(half.features.values, full.features.values, rtol=1e-3)


def test_bfloat16_is_proven_on_the_first_batch(sounds):
    encoded, encoder = encode(sounds, precision="bfloat16")
    assert encoded.encoded == 51  # not those of float32
    again, _ = encode(sounds)
    assert again.encoded == 51

    class Coarse(Bands):
        def encode(self, inputs, precision):
            values = super().encode(inputs, precision)
            return np.roll(values, 1, axis=1) if precision == "bfloat16" else values

    work = Work(precision="bfloat16")
    other = CARD.model_copy(update={"revision": "coarse"})
    with pytest.raises(InputError, match="bfloat16 must give cosines to float32 of at least 0.999"):
        encode_contents(other, sounds, work=work, encoder=Coarse())


def test_wrong_dimension_and_infinity_are_refused(sounds):
    wide = CARD.model_copy(update={"dimension": 9})
    with pytest.raises(InputError, match="dimension of bands must be 8, what its network gives"):
        encode_contents(wide, sounds, encoder=Bands())

    class Broken(Bands):
        def encode(self, inputs, precision):
            return super().encode(inputs, precision) * np.float32(np.nan)

    with pytest.raises(InputError, match="features of bands must be finite; got NaN"):
        encode_contents(CARD, sounds, encoder=Broken())


def test_settings_are_checked():
    for given, rule in (
        ({"precision": "int8"}, "precision must be one of float32, bfloat16; got 'int8'"),
        ({"output": "float64"}, "output must be one of float32, float16; got 'float64'"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
    ):
        with pytest.raises(InputError, match=rule):
            Work(**given)
    with pytest.raises(InputError, match="library of bands must be one of open_clip .image.*own"):
        encode_contents(CARD, ["a"])


def test_damaged_shard_is_named(sounds, cache):
    encode(sounds)
    shard = next((cache / "encoded").glob("*/*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert encode(sounds)[0].encoded == 0  # the finished file does not need it
    save_sound(sounds[0], 0.513)
    with pytest.raises(InputError, match=rf"{shard.name} must hold what its name says; .*Delete"):
        encode(sounds)
    shard.unlink()
    assert 1 < encode(sounds)[0].encoded <= 9


def test_interrupted_work_is_kept(sounds, cache):
    class Stopped(Bands):
        def encode(self, inputs, precision):
            if len(self.encoded) == 3:
                raise KeyboardInterrupt
            return super().encode(inputs, precision)

    with pytest.raises(KeyboardInterrupt):
        encode_contents(CARD, sounds, work=Work(batch_size=8), encoder=Stopped())
    assert len(stored_keys(cache)) == 24
    assert not (cache / "features").exists()
    rest, _ = encode(sounds)
    assert rest.encoded == 51 - 24


def test_keys_tell_what_is_nothing():
    assert key_of(None) == key_of("  \n") == b"!nothing to encode"
    assert key_of("a") != key_of("b") and len(key_of("a")) == 32
    assert RowStore("0" * 64).lacks(np.array([key_of("a"), key_of(None)])).tolist() == [True, False]


CHILD = """
import importlib.util, os, signal, threading, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("bands", {file!r})
bands = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bands)

class Slow(bands.Bands):
    def encode(self, inputs, precision):
        time.sleep(0.1)
        return super().encode(inputs, precision)

paths = sorted(Path({folder!r}).glob("*.wav"))
if "KILL_AFTER" in os.environ:
    kill = (os.getpid(), signal.SIGKILL)
    threading.Timer(float(os.environ["KILL_AFTER"]), os.kill, kill).start()
work = bands.Work(batch_size=8, save_every=0)
done = bands.encode_contents(bands.CARD, paths, work=work, encoder=Slow())
print(done.folder, done.encoded, flush=True)
"""


@pytest.fixture
def start(tmp_path, sounds):
    """Starts a process that encodes the sounds of the folder into a cache."""
    script = CHILD.format(file=__file__, folder=str(tmp_path))

    def run(home, **environment):
        given = os.environ | {"URECJPQ_HOME": str(home)} | environment
        return subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=given
        )

    return run


@pytest.mark.slow
def test_five_kills_leave_the_same_file_and_repeat_nothing(start, tmp_path):
    straight, _ = start(tmp_path / "straight").communicate()
    broken = tmp_path / "broken"
    moments = random.Random(0)
    for _ in range(5):
        # Seven batches of 0.1 s at least, one of them at most before a kill: none comes too late.
        child = start(broken, KILL_AFTER=str(moments.uniform(0.0, 0.15)))
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
    finished, _ = start(broken).communicate()
    names = ("values.npy", "present.npy", "missing.tsv", "manifest.json")
    for name in names:
        first, second = (Path(text.split()[0]) / name for text in (straight, finished))
        assert first.read_bytes() == second.read_bytes(), name
    keys = stored_keys(broken)
    assert len(keys) == len(np.unique(keys)) == 50


def test_two_processes_share_the_work(start, tmp_path):
    alone, _ = start(tmp_path / "alone").communicate()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = [start(tmp_path / "two", RANK=str(rank), **place) for rank in range(2)]
    said = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0] and said[0] == said[1]
    for name in ("values.npy", "present.npy"):
        first, second = (Path(text.split()[0]) / name for text in (alone, said[0]))
        assert first.read_bytes() == second.read_bytes()
    assert len(stored_keys(tmp_path / "two")) == 50
