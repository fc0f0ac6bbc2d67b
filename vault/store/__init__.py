"""Where the vault keeps things: the database, its tables and rows, and files."""
