"""Where a job definition runs: the session cluster through the JobManager REST API."""
