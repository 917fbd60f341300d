"""Speaks to Flink: gateway, results, changelog, script, session, jobs. Knows neither Kafka nor IPython."""
