"""Requests, responses and the exchange of one HTTP call."""
