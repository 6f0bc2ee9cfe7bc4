"""Ogg, WebM and MP3: incremental demuxers with bounds on everything, and their way through to providers."""
