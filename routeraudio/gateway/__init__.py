"""The transparent gateway: a client speaks its vendor's own protocol, and the daemon stands in between."""
