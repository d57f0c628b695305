import pytest

from urecjpq.data.raw.text import MAX_TEXT, ItemContent, clean


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Toy &amp;quot;Car&amp;quot; &lt;b&gt;red&lt;/b&gt;", 'Toy "Car" red'),
        ("<p>Two<br/>lines</p><script>alert(1)</script>", "Two lines"),
        ("a < b and b > c", "a < b and b > c"),
        ("size 3<5 ok", "size 3<5 ok"),
        (["Baby", ["Toys", "Cars"]], "Baby Toys Cars"),
        ({"Color": "red", "Age": 3}, "red 3"),
        (None, ""),
        ("Grün 玩具 игрушка عربة 🚗", "Grün 玩具 игрушка عربة 🚗"),
        ("nul\x00 and\ttab\r\nline", "nul and tab line"),
        ("lone \ud83d surrogate", "lone surrogate"),
    ],
)
def test_text_is_cleaned(given, expected):
    assert clean(given) == expected


def test_the_first_line_about_an_item_counts():
    content = ItemContent()
    content.add("i", "A", ["x", None, "", ["y"]], "http://a/b.jpg")
    content.add("i", "B", ["z"], "http://other")
    assert content.titles == {"i": "A"}
    assert content.texts == {"i": "x y"}
    assert content.pictures == {"i": "http://a/b.jpg"}


def test_only_web_addresses_are_pictures_and_text_is_cut():
    content = ItemContent()
    content.add("i", "A", ["x" * 10**6], "file:///etc/passwd")
    assert content.pictures == {}
    assert len(content.texts["i"]) == MAX_TEXT
