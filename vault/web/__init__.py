"""The web role: it seals cards, checks and describes them, and opens none."""
