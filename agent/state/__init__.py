"""What several processes share goes through here. Deciding never waits for it."""
