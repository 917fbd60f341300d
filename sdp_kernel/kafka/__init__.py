"""Speaks to Kafka: cluster, topics, sample, decode, infer. Knows neither Flink nor IPython."""
