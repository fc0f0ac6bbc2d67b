"""A rotation: every card re-encrypted under a new data key, in three phases."""
