"""Measured speed: each program prints ratios of one run; none is a test."""
