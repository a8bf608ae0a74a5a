"""Alerts: what was found about whom, the events that prove it, and how each was closed."""
