"""What a JPEG says of itself, read without decoding: size, EXIF orientation, and whether it is all there."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps

from fixtures.photos.base import PhotoError
from fixtures.pipeline.base import LeastSize
from fixtures.pipeline.decoders.jpeg_header import dct_factor, read_header, turn_upright


def jpeg(width=48, height=32, orientation=1, mode="RGB", byte_order=None, **options):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x0112] = orientation
    if byte_order:
        exif.endian = byte_order
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", exif=exif, **options)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_and_orientation_are_those_that_pillow_reads(orientation):
    header = read_header(jpeg(orientation=orientation))
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg(orientation=orientation))))
    assert header.orientation == orientation
    assert header.upright_size == (shown.height, shown.width)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_exif_of_either_byte_order(byte_order):
    assert read_header(jpeg(orientation=8, byte_order=byte_order)).orientation == 8


def test_progressive_grey_and_cmyk():
    assert read_header(jpeg(progressive=True)).components == 3
    assert read_header(jpeg(mode="L")).components == 1
    assert read_header(jpeg(mode="CMYK")).components == 4


def test_without_exif_a_photo_is_upright():
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    assert read_header(stream.getvalue()).orientation == 1


@pytest.mark.parametrize("content", [b"", b"a text file", b"\x89PNG\r\n\x1a\n rest"])
def test_what_is_no_jpeg_is_left_to_pillow(content):
    assert read_header(content) is None


def test_a_truncated_file_is_refused_at_every_length():
    whole = jpeg(width=16, height=16)
    for length in range(2, len(whole) - 1, 7):
        with pytest.raises(PhotoError, match=r"truncated|ends before"):
            read_header(whole[:length])


def test_what_follows_the_end_of_a_photo_does_not_matter():
    assert read_header(jpeg() + b"a telephone's own data").width == 48


def test_more_pixels_than_are_read_are_refused():
    large = bytearray(jpeg())
    at = large.index(b"\xff\xc0")
    large[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(PhotoError, match="4295 megapixels"):
        read_header(bytes(large))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_upright_as_pillow_turns_it(orientation):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(turn_upright(pixels, orientation), np.asarray(ImageOps.exif_transpose(image)))


def test_a_photo_is_reduced_to_no_less_than_both_networks_need():
    least = LeastSize(long_side=640, short_side=300)
    for width, height in itertools.product((640, 1279, 1280, 4032), (300, 601, 2399, 3024)):
        factor = dct_factor(width, height, least)
        reduced = sorted((-(-width // factor), -(-height // factor)))
        assert factor == 1 or (reduced[1] >= 640 and reduced[0] >= 300)
    assert dct_factor(4032, 3024, least) == 4
    assert dct_factor(4032, 3024, LeastSize(256, 86)) == 8
    assert dct_factor(4032, 3024, None) == 1
