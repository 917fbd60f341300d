"""SDP workbench: Kafka topics and Flink SQL in Jupyter."""
