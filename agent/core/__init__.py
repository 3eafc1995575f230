"""Floor 1: what everything else speaks of. Pure data and pure functions; nothing here imports another room."""
