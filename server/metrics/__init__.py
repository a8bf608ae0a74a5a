"""Prometheus metrics of one process: the list of all of them, counting, and the text that is scraped."""
