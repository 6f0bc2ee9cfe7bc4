"""Floor 7: REST calls and pages (Quart-Trio, served by Hypercorn)."""
