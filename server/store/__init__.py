"""The server's database: SQLAlchemy Core tables, migrations, and the queries of each concern."""
