"""The web console: what analysts, HR, administrators and auditors see and do in a browser."""
