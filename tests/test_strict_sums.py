"""MKL is asked for strict sums where it needs to be, and nobody's own choice is changed."""

import os

import pytest

from urecjpq.strict_sums import STRICT, VARIABLE, ask_for_strict_sums


@pytest.mark.parametrize(
    ("vendor", "chosen", "expected"),
    [
        ("GenuineIntel", None, STRICT),
        ("GenuineIntel", "COMPATIBLE", "COMPATIBLE"),
        ("AuthenticAMD", None, None),
    ],
)
def test_what_is_asked_of_mkl(monkeypatch, tmp_path, vendor, chosen, expected):
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back however this ends
    monkeypatch.delenv(VARIABLE)
    if chosen is not None:
        monkeypatch.setenv(VARIABLE, chosen)
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {vendor}\n")
    ask_for_strict_sums(tmp_path / "cpuinfo")
    assert os.environ.get(VARIABLE) == expected


def test_a_system_that_does_not_tell_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back however this ends
    monkeypatch.delenv(VARIABLE)
    ask_for_strict_sums(tmp_path / "cpuinfo")
    assert VARIABLE not in os.environ
