"""What the vault stores its data in: the database, its tables and rows, and files."""
