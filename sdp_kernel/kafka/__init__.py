"""Speaks to Kafka: cluster, topics, sample, decode, infer. Knows neither Flink nor IPython.

Importing this loads neither ``confluent_kafka`` nor ``pyarrow``.
"""

from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.sample import Sample, sample

__all__ = ["Cluster", "Sample", "sample"]
