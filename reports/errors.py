"""The one error type of the reports: what is wrong, where, and hint."""


class ReportError(Exception):
    """A record or a report folder that cannot be used as it is.

    The message names the file first, then says hint.
    """

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(f"{what}\n  hint: {hint}")
        self.what = what
        self.hint = hint
