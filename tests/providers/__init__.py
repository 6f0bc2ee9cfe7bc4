"""Tests of the provider adapters; `conformance` is what every adapter must pass."""
