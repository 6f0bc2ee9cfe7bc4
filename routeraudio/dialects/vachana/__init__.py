"""The vendor's own protocol at `/stt/v3/stream`."""
