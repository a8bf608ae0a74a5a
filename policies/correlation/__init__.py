"""Sigma correlations over the hits of rules: windows in event time, kept in bounds, saved and restored."""
