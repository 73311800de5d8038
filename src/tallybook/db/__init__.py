"""The database: engines, tables, migrations, and the one place where the two dialects differ."""
