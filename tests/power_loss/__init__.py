"""A disk that forgets at a power cut what was not synced, and what becomes of Leaver's files on it."""
