"""What is measured of an answer, for the regression in :mod:`agent.judge.model`."""
