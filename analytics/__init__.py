"""Anomaly, risk and explanation: pure functions and models. No I/O, no clock, no unseeded randomness.

State and models go to versioned bytes and come back from them; who stores them is the server's matter.
"""
