"""`python -m tests.pull.daemon STATE SOURCE HOOK`: a process with one pull task, to be killed."""

import sys
from pathlib import Path

import trio

from routeraudio.config.schema import Log
from routeraudio.emulators.kit.script import parse_script
from routeraudio.observability import logs
from tests.pull.world import open_world

SCRIPT = parse_script(b'{"steps": [{"after_ms": 0, "send_text": "{}"}]}', "script")


async def main() -> None:
    """Prints the task's id and its decoder's process id once it runs."""
    state, source, hook = sys.argv[1:]
    logs.configure(Log(level="error"))
    async with open_world(state=Path(state), script=SCRIPT) as world:
        task_id = await world.start(source, callback_url=hook)
        await world.until(task_id, lambda shown: shown["state"] == "running")
        sys.stdout.write(f"{task_id} {decoder_of_this_process()}\n")
        sys.stdout.flush()
        await trio.sleep_forever()


def decoder_of_this_process() -> int:
    """The one child there is."""
    children = [
        int(pid)
        for thread in Path("/proc/self/task").iterdir()
        for pid in (thread / "children").read_text().split()
    ]
    (decoder,) = children
    return decoder


if __name__ == "__main__":
    trio.run(main)
