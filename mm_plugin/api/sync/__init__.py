"""The API for blocking code in worker threads: the same client by another door."""
