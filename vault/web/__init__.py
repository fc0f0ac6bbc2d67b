"""The web role: seals, checks and describes cards, and opens none."""
