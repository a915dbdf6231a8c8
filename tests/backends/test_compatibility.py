"""Which packages fit which PyTorch: the table against itself, and the answers that people ask for."""

from itertools import pairwise

import pytest

from fixtures.backends.compatibility import (
    RELEASES,
    driver_too_old,
    loads,
    newest_release,
    numbers,
    onnxruntime_gpu_cuda,
    onnxruntime_gpu_for,
    release_for,
    tensorrt_for,
    torch_tensorrt_for,
)


@pytest.mark.parametrize(
    ("torch", "torch_tensorrt", "tensorrt", "cuda"),
    [
        ("2.5.1+cu121", "2.5.0", "10.3", "12.4"),
        ("2.6.0", "2.6.1", "10.7", "12.4"),
        ("2.8.0+cu128", "2.8.0", "10.12", "12.8"),
        ("2.9.1", "2.9.0", "10.13", "13.0"),
        ("2.10.0", "2.10.0", "10.14", "13.0"),
        ("2.14.1", "2.14.0", "11.1", "13.2"),
    ],
)
def test_the_release_of_a_pytorch(torch, torch_tensorrt, tensorrt, cuda):
    release = release_for(torch)
    assert release is not None
    assert (release.torch_tensorrt, release.tensorrt, release.cuda) == (torch_tensorrt, tensorrt, cuda)


def test_the_table_rises_and_holds_together():
    for earlier, later in pairwise(RELEASES):
        assert numbers(later.torch)[1] == numbers(earlier.torch)[1] + 1
        assert numbers(later.tensorrt) > numbers(earlier.tensorrt)
    for release in RELEASES:
        assert numbers(release.torch_tensorrt)[:2] == numbers(release.torch)
        assert release.build.startswith(f"cu{release.cuda[:2]}")


def test_pytorch_2_5_1_for_cuda_12_1():
    advice = torch_tensorrt_for("2.5.1+cu121", "12.1", 11, "12.2")
    keep, pair = advice.pip
    assert "torch-tensorrt 2.5.0 is the one" in advice.what and "TensorRT 10.3 and no other" in advice.what
    assert "built for CUDA 12.4" in advice.what and "libcudart.so.12" in advice.what
    assert keep == (
        "pip install torch==2.5.1+cu121 torch-tensorrt==2.5.0 --extra-index-url https://download.pytorch.org/whl/cu121"
    )
    assert "torch==2.5.1+cu124 torchvision==0.20.* torch-tensorrt==2.5.0" in pair and "whl/cu124" in pair


def test_the_pair_that_was_built_together_needs_one_plain_line():
    assert torch_tensorrt_for("2.8.0", "12.8", 12).pip == ("pip install torch==2.8.0 torch-tensorrt==2.8.0",)


def test_pypis_own_pair_of_2_10_does_not_load():
    # PyPI's PyTorch 2.10 is built for CUDA 12.8, its torch-tensorrt 2.10 for CUDA 13.
    assert not loads("2.10.0", "2.10.0", "12.8")
    assert loads("2.10.0+cu128", "2.10.0", "12.8") and loads("2.10.0", "2.10.0+cu130", "13.0")
    advice = torch_tensorrt_for("2.10.0", "12.8", 12, "13.0")
    assert "cannot load" in advice.what and "torch==2.10.0+cu130" in advice.pip[0]


def test_a_driver_for_cuda_12_is_led_to_the_last_pair_for_it():
    assert newest_release("12.2").torch_tensorrt == "2.8.0"
    assert newest_release() == newest_release("13.0") == RELEASES[-1]
    advice = torch_tensorrt_for("2.10.0", "12.8", 12, "12.4")
    assert "driver runs up to CUDA 12.4" in advice.what and "torch-tensorrt==2.8.0" in advice.pip[0]


@pytest.mark.parametrize("torch", ["2.4.1", "2.15.0", "3.0.0"])
def test_a_pytorch_outside_the_table_is_led_into_it(torch):
    advice = torch_tensorrt_for(torch, "13.0", 12)
    assert f"none fits PyTorch {torch}" in advice.what and "torch==2.14.0+cu130" in advice.pip[0]
    assert not loads("2.14.0", torch, "13.0")


def test_a_cpu_build_of_pytorch_is_moved_to_cuda():
    advice = torch_tensorrt_for("2.5.1+cpu", "", 11)
    assert "has no CUDA" in advice.what and "torch==2.5.1+cu124" in advice.pip[0]


def test_a_python_without_wheels_is_named():
    advice = torch_tensorrt_for("2.5.1", "12.4", 13)
    assert "Python 3.9 to 3.12" in advice.what and not advice.pip


def test_another_torch_tensorrt_does_not_load():
    assert loads("2.5.0", "2.5.1+cu121", "12.1")
    assert not loads("2.6.1", "2.5.1+cu121", "12.1")
    assert not loads("", "2.5.1+cu121", "12.1")


def test_tensorrt_follows_the_drivers_cuda():
    assert "tensorrt-cu12" in tensorrt_for("12.2").pip[0]
    assert "tensorrt-cu13" in tensorrt_for("13.0").pip[0]


@pytest.mark.parametrize(("version", "cuda"), [("1.20.0", 12), ("1.26.0", 12), ("1.27.0", 13), ("1.31.1", 13)])
def test_onnxruntime_gpu_moved_to_cuda_13_at_1_27(version, cuda):
    assert onnxruntime_gpu_cuda(version) == cuda


def test_onnxruntime_gpu_follows_pytorchs_cuda():
    assert '"onnxruntime-gpu>=1.20,<1.27"' in onnxruntime_gpu_for("12.1").pip[0]
    assert '"onnxruntime-gpu>=1.27"' in onnxruntime_gpu_for("13.0").pip[0]
    assert not onnxruntime_gpu_for("").pip and "for the CPU" in onnxruntime_gpu_for("").what
    assert not onnxruntime_gpu_for("11.8").pip


def test_a_driver_too_old_for_pytorch_is_told():
    advice = driver_too_old("13.0", "535.183.01", "12.2")
    assert advice is not None and "580 or later" in advice.what and "torch==2.8.0+cu128" in advice.pip[0]


@pytest.mark.parametrize(("cuda", "driver_cuda"), [("12.8", "12.2"), ("12.1", "13.0"), ("", "12.2"), ("13.0", "")])
def test_a_driver_of_the_same_major_or_later_will_do(cuda, driver_cuda):
    assert driver_too_old(cuda, "550.54.15", driver_cuda) is None
