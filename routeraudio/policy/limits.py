"""Every bound of the daemon in one place, each with its reason. All are configurable under `[limits]`.

Sizes end in `_bytes`, durations in `_s`, counts in `_max`.
"""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers a session, a connection or the daemon may not exceed."""

    head_bytes: int = 16_384
    """A browser's upgrade with cookies stays under 8 KiB; nginx and HAProxy default to 8 and 16."""
    head_headers_max: int = 64
    """Browsers send about twenty."""
    target_bytes: int = 8192
    """Path and query. Tokens are at most 4 KiB."""
    head_s: float = 5.0
    """A slow phone needs a second; a slow loris wants minutes."""
    tls_handshake_s: float = 10.0
    """Three round trips and a slow phone's arithmetic."""

    message_binary_bytes: int = 1_048_576
    """A client message of audio: 32 s of 16 kHz PCM, far above any sensible pacing."""
    message_text_bytes: int = 65_536
    """A client message of text: controls are some tens of bytes."""
    upstream_message_bytes: int = 1_048_576
    """A provider's message. Their longest (a final with word detail) stays under 100 KiB."""

    file_bytes: int = 26_214_400
    """A recording to be transcribed: OpenAI's 25 MiB, which its clients know and cut for."""
    files_max: int = 8
    """Recordings at the same time, in each process: they are kept in memory while they are decoded."""

    dialling_audio_s: float = 10.0
    """Audio held while the upstream is dialled: as long as dialling may take."""
    stage_audio_s: float = 2.0
    """Audio held between two stages: rides out a provider's hiccup without growing latency without bound."""
    read_ahead_bytes: int = 33_554_432
    """Read from a client that sends faster than its provider takes, so that its pings are answered: 17 minutes of
    16 kHz PCM. All of a process together 256 MiB; beyond, clients are not read."""
    outbox_messages_max: int = 256
    """Messages waiting for a client that reads slowly; partials give way first, finals never."""
    outbox_bytes: int = 1_048_576
    """The same in bytes: an hour of speech is some 60 KiB of text, 1 MiB with word detail."""

    flood_per_s: float = 500.0
    """Sustained rate of messages without audio (pings, fragments, empty and text messages); a client that
    sends 20 ms chunks sends 50 messages/s with audio, which are slowed by back-pressure instead."""
    flood_burst_max: int = 2000
    """Above `flood_per_s`, once: what a client may have queued during a pause of its network."""

    ping_s: float = 20.0
    """Below the 30–60 s after which NATs and balancers forget idle connections."""
    pong_s: float = 20.0
    """From our ping to the peer's pong: several retransmissions on a bad line."""
    send_s: float = 10.0
    """A client that does not read for this long is closed."""
    close_client_s: float = 5.0
    """A client's part of the closing handshake: it may have our last messages to read first."""
    close_upstream_s: float = 2.0
    """A provider's part: whatever it still says is not read any more."""

    idle_s: float = 60.0
    """No audio from the client: close 3008."""
    resume_s: float = 120.0
    """How long a client that has lost its connection may be away at the most: a tunnel, another mobile network. Its
    place and its provider's connection are held meanwhile. 0: nobody can come back."""
    session_s: float = 14_400.0
    """Four hours: the longest meetings."""

    dial_dns_s: float = 3.0
    """A resolver asks its second server after some seconds; the answer is cached below us."""
    dial_tcp_s: float = 5.0
    """Two retransmissions of the first packet (1 s and 3 s, RFC 6298)."""
    dial_tls_s: float = 5.0
    """Two round trips, and a provider under load."""
    dial_upgrade_s: float = 5.0
    """The provider checks the key here."""
    dial_s: float = 10.0
    """All of the above together."""
    ready_s: float = 10.0
    """From the open WebSocket to the vendor's own readiness (pipecat and LiveKit wait 10 s for Deepgram)."""
    last_words_s: float = 10.0
    """From finish to the vendor's own end."""

    connections_max: int = 2000
    """Per process. Keep below the descriptor limit: a session needs two."""
    connections_unauthenticated_max: int = 200
    """Connections without a key yet: a tenth of all, each for `head_s` at most."""
    connections_per_address_max: int = 50
    """Unauthenticated ones. A company's backend opens all its sessions from one address, and shows its key."""
