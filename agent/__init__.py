"""The endpoint program: collectors in, durable spool, shippers out. Command line `leaver-agent`."""
