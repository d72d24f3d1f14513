"""The client of the server API."""
