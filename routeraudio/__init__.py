"""routeraudio: one WebSocket endpoint in front of every real-time speech-to-text provider."""

__version__ = "0.1.0"
