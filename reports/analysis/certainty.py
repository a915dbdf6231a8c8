"""How certain it is that something keeps enough of its baseline's accuracy, in a word: of engines and of pipelines."""

CERTAIN, LIKELY, FAILS, NOT_JUDGED, BASELINE = "certain", "likely", "fails", "not judged", "baseline"
