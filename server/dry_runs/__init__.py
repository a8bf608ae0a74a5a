"""Dry runs: a change of a policy on the stored events of the last days, before it is published."""
