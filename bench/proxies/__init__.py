"""The competition: proxies that copy messages and do nothing else, each a module to run with `python -m`."""
