"""What audio costs: 5-second cycles, begun cycles counting whole (seed memories.ai audio stream, section 3)."""

from typing import Final

CYCLE_S: Final = 5
"""Seconds of audio in one billing cycle."""


def cycles(audio_ms: int) -> int:
    """Cycles begun by ``audio_ms`` of audio: a cycle counts from its first sample."""
    return -(-audio_ms // (CYCLE_S * 1000))
