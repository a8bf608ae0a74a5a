"""Policies as an installation has them: versions, files, exceptions, and what runs."""
