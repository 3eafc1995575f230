"""Floor 5: whom to ask, and in what order."""
