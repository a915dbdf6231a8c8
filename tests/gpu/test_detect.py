"""The card of this machine and what it cannot do: parsed from what NVIDIA's tools print, without a card."""

import sys
from types import SimpleNamespace

import pytest

from fixtures.environment.gpu import (
    Gpu,
    chosen_device,
    cuda_version,
    find_gpu,
    limits,
    parse_nvidia_smi,
    why_none,
)

LINE = "NVIDIA GeForce RTX 2080 Ti, 7.5, 535.183.01, 11264\n"
HEADER = "| NVIDIA-SMI 535.183.01             Driver Version: 535.183.01   CUDA Version: 12.2     |"
TURING = Gpu("NVIDIA GeForce RTX 2080 Ti", (7, 5), "535.183.01", "12.2", 11264 * 2**20)


def card(name: str, capability: tuple[int, int]) -> Gpu:
    return Gpu(name, capability, "580.95.05", "13.0", 16 * 2**30)


def features(gpu: Gpu) -> list[str]:
    return [limit.feature for limit in limits(gpu)]


def test_a_line_of_nvidia_smi_is_a_card():
    assert parse_nvidia_smi(LINE, HEADER) == TURING


def test_the_header_of_later_drivers_is_read():
    header = "| NVIDIA-SMI 610.57.04              KMD Version: 610.57.04     CUDA UMD Version: 13.3     |"
    assert parse_nvidia_smi(LINE, header).cuda_driver_version == "13.3"


def test_a_header_without_cuda_leaves_it_open():
    assert parse_nvidia_smi(LINE, "").cuda_driver_version == ""


@pytest.mark.parametrize("line", ["", "No devices were found", "NVIDIA A10, [N/A], 535.183.01, 23028"])
def test_a_line_that_is_no_card_is_refused(line):
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        parse_nvidia_smi(line, HEADER)


@pytest.mark.parametrize(("number", "text"), [(12020, "12.2"), (13000, "13.0"), (11080, "11.8")])
def test_the_drivers_cuda_version_is_decoded(number, text):
    assert cuda_version(number) == text


def test_turing_has_no_tf32_bf16_fp8_or_ampere_plus():
    assert features(TURING) == ["TF32", "BF16 tensor cores", "AMPERE_PLUS", "FP8"]
    assert "SAME_COMPUTE_CAPABILITY" in limits(TURING)[2].meaning


def test_a_turing_card_without_tensor_cores_is_known_by_its_name():
    assert features(card("NVIDIA GeForce GTX 1660 Ti", (7, 5)))[:2] == ["FP16 tensor cores", "INT8 tensor cores"]


def test_later_cards_lack_less():
    assert features(card("NVIDIA A100", (8, 0))) == features(card("NVIDIA GeForce RTX 3090", (8, 6))) == ["FP8"]
    assert features(card("NVIDIA L4", (8, 9))) == features(card("NVIDIA H200", (9, 0))) == []


def test_cards_before_turing_lack_more():
    assert {"TensorRT ≥ 10.5", "CUDA 13"} <= set(features(card("Tesla V100", (7, 0))))
    assert "FP16 tensor cores" not in features(card("Tesla V100", (7, 0)))
    assert features(card("NVIDIA GeForce GTX 1080", (6, 1)))[0] == "FP16 tensor cores"


@pytest.mark.parametrize(
    ("visible", "device"),
    [(None, "0"), ("1", "1"), ("2,0", "2"), ("GPU-8932f937", "GPU-8932f937"), ("", ""), ("-1", ""), ("none", "")],
)
def test_cuda_visible_devices_chooses_or_hides(visible, device):
    assert chosen_device({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == device


def test_a_hidden_card_is_not_looked_for():
    found, reason = find_gpu({"CUDA_VISIBLE_DEVICES": "-1"})
    assert found is None and "CUDA_VISIBLE_DEVICES hides" in reason


def test_why_there_is_no_card_is_told_apart(tmp_path):
    driver = tmp_path / "version"
    assert "no NVIDIA driver is loaded" in why_none(driver, tmp_path)
    driver.touch()
    assert "--gpus all" in why_none(driver, tmp_path)
    (tmp_path / "nvidia0").touch()
    assert why_none(driver, tmp_path) == ""


def test_windows_driver_under_wsl_counts_as_one(tmp_path):
    (tmp_path / "dxg").touch()
    assert why_none(tmp_path / "absent", tmp_path) == ""


def test_without_nvml_nvidia_smi_is_asked(tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f'#!/bin/sh\ncase "$1" in --id=1) echo "{LINE.strip()}";; "") echo "{HEADER}";; esac\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find_gpu({"CUDA_VISIBLE_DEVICES": "1"}) == (TURING, "")


def test_nvml_is_asked_first_and_answers_in_text_or_bytes(monkeypatch):
    nvml = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetHandleByUUID=str,
        nvmlDeviceGetCudaComputeCapability=lambda _: (7, 5),
        nvmlDeviceGetName=lambda _: b"NVIDIA GeForce RTX 2080 Ti",
        nvmlSystemGetDriverVersion=lambda: "535.183.01",
        nvmlSystemGetCudaDriverVersion_v2=lambda: 12020,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=11264 * 2**20),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert find_gpu({}) == (TURING, "")


@pytest.mark.gpu
def test_the_card_is_the_one_that_pytorch_sees():
    import torch

    found, reason = find_gpu()
    assert found is not None, reason
    assert found.compute_capability == torch.cuda.get_device_capability()
    assert found.name == torch.cuda.get_device_name()
    assert found.cuda_driver_version
