"""`python -m routeraudio.engine`."""

import cyclopts

from routeraudio.engine.command import run_engine

raise SystemExit(cyclopts.run(run_engine))
