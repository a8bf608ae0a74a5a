"""Policies: Sigma rules over an event's OCSF fields and `leaver.*`, and the engine that runs them."""
