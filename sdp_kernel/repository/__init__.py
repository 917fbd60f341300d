"""The team's git repository: its jobs, what proves them, its pipeline."""
