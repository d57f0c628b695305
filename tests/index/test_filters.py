"""The filters of all instruction sets, also of those that this processor lacks.

AVX-512 and NEON run on emulated instructions (`native/emulated_*.hpp`); the sanitizers see every
access.
"""

import platform
import shutil
import subprocess

import pytest

from urecjpq.testing import REPOSITORY

KERNELS = REPOSITORY / "urecjpq" / "index" / "kernels"
NATIVE = REPOSITORY / "tests" / "index" / "native"
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def test_every_path_equals_plain_sums(tmp_path):
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    command = [compiler, "-std=c++17", "-O1", *SANITIZERS, f"-I{KERNELS}", f"-I{NATIVE}"]
    objects = []
    for name in ("plain", "avx2", "avx512", "neon"):
        flags = ["-DURECJPQ_EMULATE"]
        if name == "avx2" and platform.machine() in ("x86_64", "AMD64"):
            flags.append("-mavx2")
        objects.append(tmp_path / f"{name}.o")
        source = KERNELS / f"filter_{name}.cpp"
        subprocess.run([*command, *flags, "-c", source, "-o", objects[-1]], check=True)
    program = tmp_path / "filters"
    subprocess.run([*command, NATIVE / "filters.cpp", *objects, "-o", program], check=True)
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "avx512 neon" in result.stdout
