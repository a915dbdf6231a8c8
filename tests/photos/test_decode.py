import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from fixtures.photos import decode
from fixtures.photos.base import PhotoError
from fixtures.photos.decode import decode_rgb, read_header, taken_at

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size, and nothing else of it."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT"


def test_a_cut_off_jpeg_is_refused_not_filled_with_grey():
    data = encoded(Image.fromarray(PIXELS))
    with pytest.raises(PhotoError, match=r"cut off \(JPEG, 60×40, \d+ bytes\)"):
        decode_rgb(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"this is a text file, whatever its name says", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused_by_how_it_begins(data: bytes):
    with pytest.raises(PhotoError, match=f"{len(data)} bytes"):
        decode_rgb(data)


def test_what_ultralytics_makes_of_pillow_changes_no_answer():
    import ultralytics.utils.patches

    assert Image.open is ultralytics.utils.patches.image_open
    with pytest.raises(PhotoError, match="not an image that Pillow"):
        decode_rgb(b"Dear diary, this is no photo.")


def test_a_photo_over_the_limit_is_refused_before_it_is_decoded():
    data = png_header(12_000, 9_000)
    with pytest.raises(PhotoError, match=r"12000×9000 pixels are 108 megapixels, over the limit of 100"):
        decode_rgb(data, max_megapixels=100)
    assert read_header(data, max_megapixels=120).shown_size == (12_000, 9_000)


def test_a_photo_of_100_megapixels_is_opened_without_a_warning():
    """Pillow alone would warn of a decompression bomb, which is an error here."""
    header = read_header(png_header(10_010, 10_000))
    assert header.shown_size == (10_010, 10_000)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "LA", "1"])
def test_every_mode_becomes_rgb(mode: str):
    image = Image.fromarray(PIXELS).convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    shown = decode_rgb(encoded(image, kind))
    assert shown.shape == (40, 60, 3) and shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, np.asarray(image.convert("RGB")))


def test_sixteen_bits_keep_their_upper_eight():
    samples = np.arange(0, 65536, 27, dtype=np.uint16)[: 40 * 60].reshape(40, 60)
    shown = decode_rgb(encoded(Image.fromarray(samples), "PNG"))
    np.testing.assert_array_equal(shown[:, :, 1], samples >> 8)


def test_heic_without_its_package_is_refused_with_the_pip_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    decode.heif_missing.cache_clear()
    try:
        with pytest.raises(PhotoError, match=r"pillow-heif.*\n.*pip install pillow-heif"):
            decode_rgb(b"\0\0\0\x18ftypheic" + bytes(100))
    finally:
        decode.heif_missing.cache_clear()


def test_heic_is_decoded_where_its_package_is():
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed here")
    heif.register_heif_opener()
    smooth = Image.linear_gradient("L").convert("RGB")
    shown = decode_rgb(encoded(smooth, "HEIF", quality=95))
    assert np.abs(shown.astype(int) - np.asarray(smooth).astype(int)).mean() < 4


def test_the_time_is_read_or_none():
    image = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif.get_ifd(decode.EXIF_IFD)[decode.DATE_TIME_ORIGINAL] = "2026:07:01 12:30:45"
    taken = taken_at(encoded(image, exif=exif.tobytes()))
    assert taken is not None and (taken.year, taken.minute, taken.second) == (2026, 30, 45)
    exif.get_ifd(decode.EXIF_IFD)[decode.DATE_TIME_ORIGINAL] = "0000:00:00 00:00:00"
    assert taken_at(encoded(image, exif=exif.tobytes())) is None
    assert taken_at(encoded(image)) is None
    assert taken_at(b"no image") is None


def test_an_orientation_that_is_none_turns_nothing():
    exif = Image.Exif()
    exif[decode.ORIENTATION] = 42
    data = encoded(Image.fromarray(PIXELS), "PNG", exif=exif)
    assert read_header(data).orientation == 1
    np.testing.assert_array_equal(decode_rgb(data), PIXELS)
