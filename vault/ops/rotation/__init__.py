"""A rotation: re-encrypts every card under a new data key, in three phases."""
