"""What can go wrong with a source."""


class SourceFault(Exception):
    """A source cannot be had, or is lost.

    Args:
        message: one sentence for whoever named the source; without its credentials, query or addresses.
        is_retryable: whether the same may succeed in a moment.
        is_refused: it is our own rules that forbid it.
    """

    def __init__(self, message: str, *, is_retryable: bool, is_refused: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.is_retryable = is_retryable
        self.is_refused = is_refused
