"""A card as values: its number, brand, expiry, token and the layout of its envelope."""
