"""Floor 6: one task on its way, from the plan to the result."""
