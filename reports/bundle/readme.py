"""The README of a bundle: what it is, what was measured, and the lines that load it."""

from reports.bundle.format import SUMS, Bundle, Role
from reports.record.results import CENTRE_CROP, DETECTOR, IMAGE_TOWER, LETTERBOX, STRETCH, Metric

MEANINGS = {
    Role.ENGINE: "the engine that was measured",
    Role.PART: "belongs to the engine",
    Role.PLAN: "the TensorRT plan alone, for trtexec, Triton and TensorRT's own runtime",
    Role.GRAPH: "the ONNX graph that it was built from, precision and calibration in it",
    Role.ULTRALYTICS: "the same with the metadata that `ultralytics.YOLO` reads",
    Role.LABELS: "what scenes are called: prompts, and their text embeddings by PyTorch FP32",
}
RESIZED = {
    LETTERBOX: "resized to fit, padded with grey 114 to the middle (letterbox)",
    STRETCH: "stretched",
    CENTRE_CROP: "the shorter side resized (bicubic, antialiased), then the centre cut out",
}
PROVIDERS = {
    "onnxruntime": '"CPUExecutionProvider"',
    "onnxruntime-cuda": '("CUDAExecutionProvider", {"use_tf32": 0})',
    "onnxruntime-tensorrt": (
        '("TensorrtExecutionProvider", {"trt_engine_cache_enable": True, "trt_engine_cache_path": "tensorrt"})'
    ),
}


def readme(bundle: Bundle) -> str:
    """The page, in Markdown."""
    parts = [_head(bundle), _files(bundle), _loading(bundle), _verification()]
    return "\n".join(part for part in parts if part)


def _head(bundle: Bundle) -> str:
    case, machine, speed, gate = bundle.case, bundle.machine, bundle.speed, bundle.gate
    where = (
        f"{machine.gpu}, driver {machine.driver}"
        if machine.device == "cuda"
        else f"{machine.cpu}, {machine.cores} cores"
    )
    batch = f"{case.batch}, others too" if case.dynamic_batch else f"{case.batch} exactly"
    callers = "one caller" if case.streams == 1 else f"{case.streams} callers, each with its own execution context"
    with_ = ", ".join(f"{name} {value}" for name, value in bundle.built_with.items() if value not in ("", None))
    rows = {
        "engine": f"{case.backend}, {case.precision.upper()}, batch {batch}",
        "measured on": where,
        "built with": with_,
        "speed": f"{speed.images_per_second:.1f} images/s{_interval(speed.low, speed.high, '.1f')} of {callers}, "
        f"{speed.latency_ms.p50:.3f} ms a batch ({speed.quantity} by {speed.instrument})",
        **{metric.name: _metric(metric) for metric in bundle.metrics},
        "gate": f"{'passed' if gate.passed else 'FAILED'}: at least {100 * (1 - gate.tolerance):g} % of the baseline"
        + (", with the whole intervals" if gate.certain else ""),
        "weights": f"{bundle.origin.weights}, SHA-256 {bundle.origin.weights_sha256}",
        "judged on": f"{bundle.origin.data}, {bundle.origin.evaluation_images} items",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    title = f"# {case.model}: {case.backend} {case.precision.upper()}"
    return f"{title}\n\n{bundle.origin.advice}\n\n| | |\n| --- | --- |\n{table}\n"


def _files(bundle: Bundle) -> str:
    lines = [f"- `{each.path}`: {', and '.join(MEANINGS[role] for role in each.roles)}" for each in bundle.files]
    return "\n".join([
        "## Files",
        "",
        *lines,
        "- `bundle.json`: all figures with their intervals, the machine, versions, the model's inputs and outputs",
        f"- `{SUMS}`: `sha256sum -c {SUMS}`",
        "",
    ])  # fmt: skip


def _loading(bundle: Bundle) -> str:
    parts = ["## Load it", "", *_inputs(bundle)]
    if yolo := bundle.file(Role.ULTRALYTICS):
        batch = f", batch={bundle.case.batch}" if bundle.case.batch > 1 else ""
        parts += ["With Ultralytics:", *_code(
            "from ultralytics import YOLO",
            "",
            f'model = YOLO("{yolo.path}", task="detect")',
            f"for result in model.predict(photos{batch}):  # paths, or a list of arrays in BGR",
            "    print(result.boxes.xyxy, result.boxes.conf, result.boxes.cls)",
        )]  # fmt: skip
        if batch and not bundle.case.dynamic_batch:
            parts += [f"A call takes {bundle.case.batch} photos, no fewer: fill the last one up.", ""]
    engine = bundle.file(Role.PLAN) or bundle.file(Role.ENGINE)
    assert engine is not None
    parts += ["Bare:", *_code(*_bare(bundle, engine.path))]
    if labels := bundle.file(Role.LABELS):
        parts += ["What a photo shows is the label of the highest cosine:", *_code(
            "import json",
            "",
            "import numpy as np",
            "from safetensors import safe_open",
            "",
            f'with safe_open("{labels.path}", framework="np") as file:',
            '    texts, prompts = file.get_tensor("text_embeddings"), json.loads(file.metadata()["prompts"])',
            "texts /= np.linalg.norm(texts, axis=1, keepdims=True)",
            "images = output / np.linalg.norm(output, axis=1, keepdims=True)",
            "print([prompts[best] for best in (images @ texts.T).argmax(axis=1)])",
        )]  # fmt: skip
    return "\n".join(parts)


def _inputs(bundle: Bundle) -> list[str]:
    interface = bundle.interface
    shape = "×".join(map(str, interface.input_shape))
    if interface.kind not in (DETECTOR, IMAGE_TOWER):
        return [
            f"`{interface.input_name}`: int64 token ids [batch, {shape}] by the tokenizer of {bundle.origin.weights}, "
            "padded to the full length.",
            "",
        ]
    normalised = f", less {list(interface.mean)}, over {list(interface.std)}" if interface.mean or interface.std else ""
    description = (
        f"`{interface.input_name}`: FP32 [batch, {shape}], RGB, {RESIZED.get(interface.resize, interface.resize)}, 0..1"
    )
    output = f"`{interface.output_name}`: FP32"
    if interface.nms:
        output += (
            f" [batch, 4 + {len(interface.class_names)}, anchors]: centre, width and height in pixels of the input, "
            "then a score for each class of `bundle.json`; NMS follows"
        )
    elif interface.kind == IMAGE_TOWER:
        output += " [batch, D], not normalised"
    return [f"{description}{normalised}.", f"{output}.", ""]


def _bare(bundle: Bundle, path: str) -> list[str]:
    if providers := PROVIDERS.get(bundle.case.backend):
        return [
            "import onnxruntime",
            "",
            f'session = onnxruntime.InferenceSession("{path}", providers=[{providers}])',
            f'output = session.run(None, {{"{bundle.interface.input_name}": batch}})[0]',
        ]
    return [
        "from pathlib import Path",
        "",
        "import tensorrt as trt",
        "",
        f'engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(Path("{path}").read_bytes())',
        "context = engine.create_execution_context()",
    ]


def _verification() -> str:
    return "\n".join([
        "## Does it hold here?",
        "",
        *_code(
            "python -m fixtures.bundle verify THIS_FOLDER             # in a checkout of image-engine-bench",
            "python -m fixtures.bundle verify THIS_FOLDER --rebuild   # another GPU, driver or version: built again",
            "python -m fixtures.pipeline PHOTOS --bundle THIS_FOLDER --output answers.parquet",
            language="console",
        ),
    ])  # fmt: skip


def _code(*lines: str, language: str = "python") -> list[str]:
    return ["", f"```{language}", *lines, "```", ""]


def _metric(metric: Metric) -> str:
    def shown(value: float | None) -> str:
        return "?" if value is None else f"{value:.4f}"

    kept = f"{shown(metric.ratio_value)}{_interval(metric.low, metric.high, '.4f')}"
    return f"{shown(metric.value)}, {kept} of the baseline's {shown(metric.baseline)}"


def _interval(low: float | None, high: float | None, digits: str) -> str:
    return "" if low is None or high is None else f" ({low:{digits}} to {high:{digits}})"
