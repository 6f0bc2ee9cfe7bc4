"""What can go wrong with the engine, for those who use its pool."""


class EngineFault(Exception):
    """A recogniser died, hung or could not be started; costs one session. Never carries audio or text."""


class EngineFull(EngineFault):
    """As many recognitions are running as may; the same request may succeed later."""


class EngineMissing(EngineFault):
    """PocketSphinx is not installed."""

    def __init__(self) -> None:
        super().__init__("the local engine needs PocketSphinx: pip install routeraudio[local]")
