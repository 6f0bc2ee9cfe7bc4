"""What can go wrong with the engine, for those who use its pool."""


class EngineFault(Exception):
    """A recogniser died, hung or could not be started; costs one session. Never carries audio or text."""


class EngineFull(EngineFault):
    """As many recognitions are running as may; the same request may succeed later."""


class EngineMissing(EngineFault):
    """What a back end needs is not installed.

    Args:
        what: the package or model that was looked for.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the local engine needs {what}: pip install routeraudio[local], then routeraudio engine fetch"
        )
