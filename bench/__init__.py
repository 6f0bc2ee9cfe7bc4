"""What one proxied message costs: the harness behind `make bench`. See README.md beside this file."""
