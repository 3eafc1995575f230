"""What the overview page shows: what is asked of it, the figures behind it, its tables and its pictures."""
