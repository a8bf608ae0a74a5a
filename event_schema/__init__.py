"""The words that endpoint and server share: event types (OCSF), `leaver.*` fields, the wire format.

Nothing here does I/O or reads a clock; see docs/architecture.md for where each word is used.
"""
