"""The one error type of the reports: what is wrong, where, and how to mend it."""


class ReportError(Exception):
    """A record or a report folder that cannot be used as it is.

    The message names the file first, then says how to mend it.
    """

    def __init__(self, what: str, *, mend: str) -> None:
        super().__init__(f"{what}\n  how to mend it: {mend}")
        self.what = what
        self.mend = mend
