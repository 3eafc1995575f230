"""What kind of work a task is, and how sure that is."""
