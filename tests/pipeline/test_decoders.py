"""Every decoder gives the same upright photo, or the same kind of error."""

import io
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.photos.base import PhotoError
from fixtures.photos.drawn import Recipe, encode
from fixtures.pipeline.base import LeastSize
from fixtures.pipeline.decoders.pil import PilDecoder

REFERENCE = PilDecoder()


def decoders():
    from fixtures.pipeline.decoders.opencv import OpenCvDecoder
    from fixtures.pipeline.decoders.torchvision_cuda import TorchvisionCudaDecoder

    found = {"opencv": OpenCvDecoder(), "torchvision": TorchvisionCudaDecoder("cpu")}
    if find_spec("simplejpeg"):
        from fixtures.pipeline.decoders.simplejpeg import SimpleJpegDecoder

        found["simplejpeg"] = SimpleJpegDecoder()
    return found


@pytest.fixture(params=sorted(decoders()))
def decoder(request):
    return decoders()[request.param]


def scene(height=90, width=120):
    """Smooth ground with edges of saturated colours."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 2, y * 2, (x + y)], axis=2).astype(np.uint8)
    pixels[20:50, 30:60] = (255, 0, 0)
    pixels[40:70, 50:90] = (0, 0, 255)
    return pixels


def as_numpy(photo):
    assert not isinstance(photo, PhotoError), photo
    return photo.pixels.numpy() if isinstance(photo.pixels, torch.Tensor) else photo.pixels


@pytest.mark.parametrize("encoding", ["baseline", "progressive", "grey", "cmyk"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_same_pixels_as_pillow_for_every_orientation_and_encoding(decoder, encoding, orientation):
    data = encode(scene(), Recipe(120, 90, encoding, orientation))
    (expected,) = REFERENCE.decode([data], None)
    (photo,) = decoder.decode([data], None)
    assert (photo.height, photo.width) == (expected.height, expected.width) == expected.pixels.shape[:2]
    assert np.array_equal(as_numpy(photo), expected.pixels)


@pytest.mark.parametrize("orientation", [1, 6])
def test_reduced_while_decoding_it_keeps_the_size_of_the_whole(decoder, orientation):
    if decoder.device != "cpu" or type(decoder).__name__.startswith("Torchvision"):
        pytest.skip("a decoder on a GPU reduces nothing")
    data = encode(scene(480, 640), Recipe(640, 480, "baseline", orientation))
    least = LeastSize(long_side=300, short_side=200)
    (whole,) = REFERENCE.decode([data], None)
    for each in (decoder, REFERENCE):
        (photo,) = each.decode([data], least)
        assert (photo.height, photo.width) == (whole.height, whole.width)
        assert photo.pixels.shape[:2] == (whole.height // 2, whole.width // 2)
        blocks = whole.pixels.reshape(whole.height // 2, 2, whole.width // 2, 2, 3).mean(axis=(1, 3))
        assert np.abs(photo.pixels - blocks).mean() < 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an image|empty"),
        (b"a text file that is called .jpg", "not an image"),
        ("truncated", "truncated|cut off"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "ends before|header is damaged|not an image"),
    ],
)
def test_a_broken_photo_is_an_error_of_its_own(decoder, content, reason):
    good = encode(scene(), Recipe(120, 90, "baseline", 1))
    broken = good[: len(good) // 2] if content == "truncated" else content
    before, error, after = decoder.decode([good, broken, good], None)
    assert np.array_equal(as_numpy(before), as_numpy(after))
    assert isinstance(error, PhotoError)
    with pytest.raises(PhotoError, match=reason):
        raise error


def test_other_formats_are_decoded_by_pillow(decoder):
    stream = io.BytesIO()
    Image.fromarray(scene()).save(stream, "PNG")
    (photo,) = decoder.decode([stream.getvalue()], None)
    assert np.array_equal(as_numpy(photo), scene())


def test_a_gpu_is_given_photos_in_colour_alone():
    """Of grey ones nvImageCodec made another picture: they, CMYK and other formats are Pillow's."""
    from fixtures.pipeline.decoders.on_gpu import decode_all

    stream = io.BytesIO()
    Image.fromarray(scene()).save(stream, "PNG")
    encodings = ("baseline", "grey", "cmyk", "progressive")
    given = [*(encode(scene(), Recipe(120, 90, encoding, 6)) for encoding in encodings), stream.getvalue(), b"no photo"]
    seen = []

    def on_gpu(data):
        seen.extend(data)
        return [torch.from_numpy(np.array(Image.open(io.BytesIO(each)))) for each in data]

    found = decode_all(given, None, on_gpu, "cpu")
    assert seen == [given[0], given[3]]
    for photo, expected in zip(found[:5], REFERENCE.decode(given[:5], None), strict=True):
        assert np.array_equal(photo.pixels.numpy(), expected.pixels)
    assert isinstance(found[5], PhotoError)
