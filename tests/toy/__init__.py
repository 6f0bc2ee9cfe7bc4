"""A provider and a dialect that nobody needs: `test_toy` adds them to a copy of the project."""
