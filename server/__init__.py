"""The server: log → ingest → enrich → policies and analytics → risk → alerts."""
