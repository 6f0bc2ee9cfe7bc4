"""Floor 5: REST calls and pages (Quart-Trio, served by Hypercorn)."""
