"""Pictures → colours, edges, outline."""

import numpy as np
import pytest
from PIL import Image

from urecjpq.encoding import encode_pictures
from urecjpq.errors import InputError

RED, BLUE = (220, 40, 40), (40, 60, 220)


@pytest.fixture(scope="module")
def pictured(shop):
    return encode_pictures(shop.catalogue.images)


def save(path, colour, box, size=(64, 64), mode="RGB", background="white"):
    picture = Image.new(mode, size, background)
    scale = size[0] / 64
    picture.paste(colour, tuple(int(scale * corner) for corner in box))
    picture.save(path)
    return path


def test_pictures_alike_are_nearer_than_others(shop, pictured, likeness):
    same, other = likeness(pictured, shop.traits.category)
    assert same - other > 0.15
    same, other = likeness(pictured, shop.traits.colour)
    assert same - other > 0.15


def test_nearest_pictures_share_category_and_colour(shop, pictured):
    rows = pictured.values[pictured.present]
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines.argmax(axis=1)
    for trait in (shop.traits.category, shop.traits.colour):
        seen = trait[pictured.present]
        # By chance it would be 1 in 16 and 1 in 8.
        assert (seen[nearest] == seen).mean() > 0.8


def test_absent_picture_stays_absent(shop, pictured):
    absent = np.array([image is None for image in shop.catalogue.images])
    assert absent.sum() == 6
    assert (pictured.present == ~absent).all()
    assert not pictured.values[absent].any()
    lengths = np.linalg.norm(pictured.values[~absent], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


def test_one_picture_is_encoded_as_among_others(shop, pictured):
    row = int(np.flatnonzero(pictured.present)[-1])
    alone = encode_pictures([shop.catalogue.images[row]])
    assert (alone.values[0] == pictured.values[row]).all()


def test_size_and_transparency_do_not_matter(tmp_path):
    box = (16, 16, 48, 48)
    small = save(tmp_path / "small.png", RED, box)
    large = save(tmp_path / "large.png", RED, box, size=(256, 256))
    clear = save(tmp_path / "clear.png", (*RED, 255), box, mode="RGBA", background=(0, 0, 0, 0))
    values = encode_pictures([small, large, clear]).values
    np.testing.assert_allclose(values @ values.T, 1, rtol=1e-5)


def test_colour_and_outline_each_tell_pictures_apart(tmp_path):
    square, bar = (16, 16, 48, 48), (28, 4, 36, 60)
    paths = [
        save(tmp_path / "red_square.png", RED, square),
        save(tmp_path / "blue_square.png", BLUE, square),
        save(tmp_path / "red_bar.png", RED, bar),
        save(tmp_path / "blue_bar.png", BLUE, bar),
    ]
    values = encode_pictures(paths).values
    red_square_to = values @ values[0]
    assert red_square_to[1] < 0.9 and red_square_to[2] < 0.9
    assert red_square_to[3] < min(red_square_to[1], red_square_to[2]) - 0.2


def test_no_pictures_at_all():
    features = encode_pictures([None, None])
    assert features.values.shape[0] == 2 and not features.present.any()


@pytest.mark.parametrize("content", [b"", b"not a picture", None])
def test_damaged_picture_is_named(tmp_path, content):
    path = tmp_path / "P0001.png"
    whole = save(tmp_path / "whole.png", RED, (16, 16, 48, 48)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"picture must be a readable image; got .*P0001\.png"):
        encode_pictures([path])


def test_missing_picture_is_named(tmp_path):
    with pytest.raises(InputError, match=r"got .*gone\.png"):
        encode_pictures([tmp_path / "gone.png"])
