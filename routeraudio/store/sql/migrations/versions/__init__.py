"""One file per version, never changed after a release."""
