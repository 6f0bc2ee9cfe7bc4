"""The usage ledger as a service on Trio: grants cycles to running streams and makes them durable."""
