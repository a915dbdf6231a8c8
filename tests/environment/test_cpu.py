"""FP16 arithmetic, read from what Linux shows of real CPUs."""

from pathlib import Path

import pytest
import torch

from fixtures.environment.cpu import CPUINFO, has_fp16_arithmetic

# Lines of /proc/cpuinfo, shortened to flags near the ones that decide. EPYC 9004: this very machine's kind.
SAPPHIRE_RAPIDS = "processor\t: 0\nflags\t\t: fpu f16c avx512f avx512_bf16 avx512_fp16 amx_tile amx_int8\n"
GRANITE_RAPIDS_WITHOUT_AVX512 = "processor\t: 0\nflags\t\t: fpu f16c avx2 amx_tile amx_fp16\n"
EPYC_9004 = "processor\t: 0\nflags\t\t: fpu f16c avx2 avx512f avx512_bf16 avx512_vnni\nbogomips\t: 4800\n"
LUNAR_LAKE = "processor\t: 0\nflags\t\t: fpu f16c avx2 avx_vnni avx_ne_convert\n"
GRAVITON_3 = "processor\t: 0\nFeatures\t: fp asimd evtstrm fphp asimdhp cpuid asimdrdm bf16\n"
CORTEX_A72 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
SCALAR_ALONE = "processor\t: 0\nFeatures\t: fp asimd fphp cpuid\n"


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "expected"),
    [
        ("x86_64", SAPPHIRE_RAPIDS, True),
        ("x86_64", GRANITE_RAPIDS_WITHOUT_AVX512, True),
        ("x86_64", EPYC_9004, False),
        ("x86_64", LUNAR_LAKE, False),
        ("aarch64", GRAVITON_3, True),
        ("aarch64", CORTEX_A72, False),
        ("aarch64", SCALAR_ALONE, False),
        # A flag of the other architecture says nothing.
        ("x86_64", GRAVITON_3, False),
    ],
)
def test_the_flags_decide(machine: str, cpuinfo: str, expected: bool, tmp_path: Path):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert has_fp16_arithmetic(tmp_path / "cpuinfo", machine, "linux") is expected


@pytest.mark.parametrize(
    ("machine", "cpuinfo"), [("riscv64", EPYC_9004), ("x86_64", ""), ("x86_64", "processor : 0\n")]
)
def test_where_nobody_says_nothing_is_said(machine: str, cpuinfo: str, tmp_path: Path):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert has_fp16_arithmetic(tmp_path / "cpuinfo", machine, "linux") is None
    assert has_fp16_arithmetic(tmp_path / "absent", "x86_64", "linux") is None


def test_a_mac_is_known_by_its_architecture(tmp_path: Path):
    assert has_fp16_arithmetic(tmp_path, "arm64", "darwin") is True
    assert has_fp16_arithmetic(tmp_path, "x86_64", "darwin") is False


@pytest.mark.skipif(not CPUINFO.exists(), reason="this system shows no /proc/cpuinfo")
def test_it_agrees_with_pytorch_about_this_cpu():
    """PyTorch asks CPUID: with AVX512-FP16 it has kernels, and without them or a conversion it has none."""
    if has_fp16_arithmetic():
        assert torch.ops.mkldnn._is_mkldnn_fp16_supported() or not torch.backends.mkldnn.is_available()
    elif has_fp16_arithmetic() is False and "avx_ne_convert" not in CPUINFO.read_text():
        assert not torch.ops.mkldnn._is_mkldnn_fp16_supported()
