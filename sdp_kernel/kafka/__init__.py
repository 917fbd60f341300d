"""Speaks to Kafka: cluster, topics, sample, decode, infer. Knows neither Flink nor IPython.

Importing any module of this room loads neither ``confluent_kafka`` nor ``pyarrow``. Nothing is
gathered here: ``sample`` is a module as well as its function.
"""
