"""Every kind of picture file has one outcome."""

import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from urecjpq.data.pictures import PictureError, read_picture
from urecjpq.errors import InputError

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def halves():
    """A picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", (20, 10), RED)
    picture.paste(BLUE, (10, 0, 20, 10))
    return picture


def declared_png(width, height):
    """A few bytes that claim to be a picture of that size."""

    def chunk(name, content):
        length = struct.pack(">I", len(content))
        return length + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_first_frame_of_an_animated_picture(tmp_path, name):
    first, second = Image.new("RGB", (20, 10), RED), Image.new("RGB", (20, 10), BLUE)
    lossless = {"lossless": True} if name.endswith("webp") else {}
    first.save(tmp_path / name, save_all=True, append_images=[second], **lossless)
    picture = read_picture(tmp_path / name)
    assert picture.size == (20, 10) and picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == RED


def test_cmyk_keeps_its_colours(tmp_path, halves):
    halves.convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    pixels = np.asarray(read_picture(tmp_path / "a.jpg"), dtype=int)
    assert abs(pixels[5, 2] - RED).max() < 30 and abs(pixels[5, 17] - BLUE).max() < 30


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_keep_their_range(tmp_path, name):
    ramp = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / name)
    pixels = np.asarray(read_picture(tmp_path / name))
    assert (pixels[..., 0] == ramp >> 8).all()
    assert (pixels == pixels[..., :1]).all()


def test_turned_picture_is_turned_upright(tmp_path, halves):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held with its right side up
    halves.save(tmp_path / "a.jpg", exif=exif, quality=100)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.size == (10, 20)
    assert picture.getpixel((5, 2))[0] > 200 and picture.getpixel((5, 17))[2] > 200


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_is_white(tmp_path, mode):
    picture = Image.new(mode, (4, 4))
    more = {"transparency": 0} if mode == "P" else {}
    picture.save(tmp_path / "a.png", **more)
    assert read_picture(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)


def test_what_is_not_a_picture_says_why(tmp_path, halves):
    halves.resize((200, 200)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    files = {
        "cut.jpg": (whole[: len(whole) // 2], "damaged picture"),
        "zero.jpg": (b"", "empty file"),
        "page.jpg": (b"<html>not found</html>", "not a picture"),
        "bomb.png": (declared_png(60_000, 60_000), "too many pixels"),
        "large.png": (declared_png(10_000, 10_000), "too many pixels"),
        "over.png": (declared_png(8_000, 8_000), "too many pixels"),
        "float.tif": ((tmp_path / "float.tif").read_bytes(), "float pixels"),
    }
    for name, (content, reason) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PictureError, match=f"picture must be a readable image; .*{name}") as e:
            read_picture(tmp_path / name)
        assert e.value.reason == reason, name
    with pytest.raises(PictureError, match="no such file"):
        read_picture(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match=r"too many bytes \([\d,]+ of at most 100\)"):
        read_picture(tmp_path / "whole.jpg", max_bytes=100)


def test_any_cut_of_a_picture_is_refused_or_read(tmp_path, halves):
    for name in ("a.png", "a.gif", "a.webp", "a.jpg", "a.tif", "a.bmp"):
        halves.save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for length in range(len(whole)):
            (tmp_path / name).write_bytes(whole[:length])
            try:
                assert read_picture(tmp_path / name).size == (20, 10)
            except PictureError:
                continue


def test_limit_holds_in_many_threads(tmp_path):
    (tmp_path / "large.png").write_bytes(declared_png(10_000, 10_000))
    reasons = []

    def read():
        for _ in range(50):
            try:
                read_picture(tmp_path / "large.png")
            except PictureError as error:
                reasons.append(error.reason)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reasons == ["too many pixels"] * 200
