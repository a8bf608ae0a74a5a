"""The HTTPS interface: agents send records and get certificates, administrators read status and alerts."""
