"""The gate on decoders and resizes: what changes the answers fails it, on material that shows the fault."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from fixtures.accuracy.zero_shot import Embeddings, compare
from fixtures.datasets.synthetic.dataset import EVALUATION_IDS, PROMPTS, zero_shot_scene
from fixtures.embedded import weights
from fixtures.models.clip import load_clip
from fixtures.photos.drawn import Recipe, encode
from fixtures.pipeline.base import DecodedPhoto
from fixtures.pipeline.decoders.pil import PilDecoder
from fixtures.pipeline.decoders.simplejpeg import SimpleJpegDecoder
from fixtures.pipeline.geometry import clip_size, crop_start
from fixtures.pipeline.preprocessors.fast import FastPreprocessor
from fixtures.pipeline.preprocessors.matrix import MatrixPreprocessor

TOLERANCE = 0.02
PHOTOS = 96


@pytest.fixture(scope="module")
def clip():
    image, text = load_clip(str(weights.clip_path()), allow_download=False)
    with torch.no_grad():
        texts = text.module()(text.prepare(PROMPTS)).numpy()
    return image, image.module(), texts


def answers(clip, crops):
    model, module, _ = clip
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) * 255 for each in (model.mean, model.std))
    with torch.no_grad():
        return module((crops.float() - mean) / std).numpy()


def agreement(clip, candidate, reference):
    texts = clip[2]
    return compare(Embeddings(candidate, texts), Embeddings(reference, texts)).agreement.value


@pytest.fixture(scope="module")
def small_photos():
    """Photos of 64×64 pixels, 4:2:0: what CLIP sees is what the decoder gives, edges of saturated colours included."""
    scenes = [zero_shot_scene(image_id).image for image_id in EVALUATION_IDS[:PHOTOS]]
    return [encode(image, Recipe(64, 64, "baseline", 1)) for image in scenes]


@pytest.fixture(scope="module")
def large_photos():
    """The same scenes eight times as large, with grain in every pixel."""
    rng = np.random.default_rng(0)
    photos = []
    for image_id in EVALUATION_IDS[:PHOTOS]:
        large = zero_shot_scene(image_id).image.repeat(8, axis=0).repeat(8, axis=1).astype(float)
        grain = rng.normal(0, 40, large.shape)
        photos.append(DecodedPhoto(np.clip(large + grain, 0, 255).astype(np.uint8), 512, 512))
    return photos


class PlainUpsampling(SimpleJpegDecoder):
    """A decoder that repeats the colour of a pixel, as nvJPEG does where nobody asks for more."""

    def decode(self, data, least):
        import simplejpeg

        return [DecodedPhoto(simplejpeg.decode_jpeg(each, fastupsample=True), 64, 64) for each in data]


class WithoutAntialias(FastPreprocessor):
    """A bicubic resize that looks at four pixels however much it reduces."""

    def _cropped(self, photo):
        side = self._clip_side
        height, width = clip_size(photo.height, photo.width, side)
        pixels = torch.from_numpy(photo.pixels).permute(2, 0, 1)[None].float()
        resized = functional.interpolate(pixels, size=(height, width), mode="bicubic").round().clamp(0, 255).byte()
        top, left = crop_start(height, side), crop_start(width, side)
        return resized[0, :, top : top + side, left : left + side]


def by(decoder, photos, preprocessor):
    return preprocessor.prepare(decoder.decode(photos, None)).pixel_values


def test_plain_chroma_upsampling_changes_answers_and_the_exact_decoders_do_not(clip, small_photos):
    fast = FastPreprocessor(256, clip[0].image_size)
    reference = answers(clip, by(PilDecoder(), small_photos, fast))
    exact = answers(clip, by(SimpleJpegDecoder(), small_photos, fast))
    plain = answers(clip, by(PlainUpsampling(), small_photos, fast))
    assert agreement(clip, exact, reference) == 1.0
    assert agreement(clip, plain, reference) < 1 - TOLERANCE


def test_a_resize_without_antialias_fails_and_the_ones_that_are_used_pass(clip, large_photos):
    side = clip[0].image_size
    model = clip[0]
    with torch.no_grad():
        reference = clip[1](model.prepare([photo.pixels for photo in large_photos])).numpy()
    for used in (FastPreprocessor(256, side), MatrixPreprocessor(256, side, "cpu")):
        assert agreement(clip, answers(clip, used.prepare(large_photos).pixel_values), reference) >= 1 - TOLERANCE
    aliased = answers(clip, WithoutAntialias(256, side).prepare(large_photos).pixel_values)
    assert agreement(clip, aliased, reference) < 1 - TOLERANCE
