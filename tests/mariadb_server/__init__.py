"""A real MariaDB on a free port, which tells what is read."""
