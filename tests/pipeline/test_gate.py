"""The gate on decoders and resizes: what changes the answers fails it, on material that shows the fault."""

from dataclasses import replace

import numpy as np
import pytest
import simplejpeg
import torch
from torch.nn import functional

from fixtures.accuracy.zero_shot import Embeddings, compare
from fixtures.embedded import weights
from fixtures.models.clip import load_clip
from fixtures.photos.drawn import Recipe, encode
from fixtures.pipeline.base import DecodedPhoto
from fixtures.pipeline.decoders.simplejpeg import SimpleJpegDecoder
from fixtures.pipeline.geometry import clip_size, crop_start
from fixtures.pipeline.preprocessors.fast import FastPreprocessor
