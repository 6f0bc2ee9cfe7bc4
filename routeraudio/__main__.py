"""`python -m routeraudio`."""

from routeraudio.cli import main

raise SystemExit(main())
