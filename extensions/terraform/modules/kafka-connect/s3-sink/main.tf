locals {
  converters = {
    worker = {}
    json = {
      "key.converter"                  = "org.apache.kafka.connect.json.JsonConverter"
      "key.converter.schemas.enable"   = "false"
      "value.converter"                = "org.apache.kafka.connect.json.JsonConverter"
      "value.converter.schemas.enable" = "false"
    }
    avro = {
      for key, value in {
        "key.converter"                       = "io.confluent.connect.avro.AvroConverter"
        "key.converter.schema.registry.url"   = var.schema_registry_url
        "value.converter"                     = "io.confluent.connect.avro.AvroConverter"
        "value.converter.schema.registry.url" = var.schema_registry_url
      } : key => value if value != null
    }
  }

  # CSV holds bytes as they came.
  bytes = {
    "key.converter"   = "org.apache.kafka.connect.converters.ByteArrayConverter"
    "value.converter" = "org.apache.kafka.connect.converters.ByteArrayConverter"
  }

  # A template of a name stands for the whole name: the connector adds no extension to it. Parquet compresses within.
  extension = join("", [
    { jsonl = ".jsonl", json = ".json", csv = ".csv", avro = ".avro", parquet = ".parquet" }[var.output],
    var.output == "parquet" ? "" : { gzip = ".gz", none = "", snappy = ".snappy", zstd = ".zst" }[var.compression],
  ])
  by_day = "{{topic}}/{{timestamp:unit=yyyy}}-{{timestamp:unit=MM}}-{{timestamp:unit=dd}}/{{partition}}-{{start_offset:padding=true}}${local.extension}"

  config = merge(
    { for key, value in {
      "aws.s3.bucket.name"        = var.bucket
      "aws.s3.region"             = var.region
      "aws.s3.endpoint"           = var.endpoint
      "aws.s3.prefix"             = var.prefix == "" ? null : var.prefix
      "aws.access.key.id"         = var.access_key_id
      "aws.secret.access.key"     = var.secret_access_key
      "aws.sts.role.arn"          = var.role_arn
      "aws.sts.role.session.name" = var.role_arn == null ? null : var.name
      "file.name.template"        = coalesce(var.file_name, local.by_day)
      "file.compression.type"     = var.compression
      "format.output.type"        = var.output
      "format.output.fields"      = join(",", var.fields)
      "format.output.envelope"    = var.output == "csv" ? null : tostring(length(var.fields) > 1)
      # Without it, a value is written in Base64.
      "format.output.fields.value.encoding" = var.output == "csv" ? "none" : null
    } : key => value if value != null },
    var.output == "csv" ? local.bytes : local.converters[var.format],
    var.task_config,
  )
}

module "connector" {
  source = "../sink"

  enabled           = var.enabled
  name              = var.name
  namespace         = var.namespace
  cluster           = var.cluster
  class             = "io.aiven.kafka.connect.s3.AivenKafkaConnectS3SinkConnector"
  topics            = var.topics
  dead_letter_topic = var.dead_letter_topic
  tasks_max         = var.tasks_max
  task_config       = local.config
  state             = var.state
  auto_restart      = var.auto_restart
  plugin_version    = var.plugin_version
  labels            = var.labels
}
