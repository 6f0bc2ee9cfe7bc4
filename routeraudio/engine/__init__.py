"""Floor 5: the local recogniser, a WebSocket server of its own that runs in its own process.

    the daemon          the engine (server, pool)          the zygote          one worker per session
    supervise ────────▶ WebSocket ⇄ Hearing ──"fork"─────▶ model, loaded ────▶ Recogniser
                                       ▲                   once, forks            ▲
                                       └─────────── a socket pair ────────────────┘

Decoding keeps a processor busy and a decoder is C code: it runs where it can neither block an event loop nor take
anything with it when it dies. A dead worker costs its own session one honest error.
"""
