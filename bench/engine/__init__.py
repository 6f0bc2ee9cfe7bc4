"""What each installed back end of the local engine hears, how soon, and what it takes: `python -m bench engine`."""
