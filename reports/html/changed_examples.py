"""Images that an engine answers otherwise than the baseline, with their thumbnails."""

import re
from dataclasses import dataclass

from reports.analysis.cases import CaseSummary

# The record is another program's: nothing but an embedded JPEG of a thumbnail's size gets into the page as an image.
PICTURE = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]{1,16000}={0,2}")


@dataclass(frozen=True)
class Changed:
    """What the baseline and the engine say of one image. `picture` is a data URI; empty where there is none."""

    image: str
    baseline: str
    engine: str
    picture: str


def changed_images(case: CaseSummary) -> tuple[Changed, ...]:
    """The images that the case's record shows, in its order; what cannot be read is left out."""
    return tuple(
        Changed(str(each.image), each.baseline, each.engine, each.picture if PICTURE.fullmatch(each.picture) else "")
        for each in case.accuracy.changed_images
    )
