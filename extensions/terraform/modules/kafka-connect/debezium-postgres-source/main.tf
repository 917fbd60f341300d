locals {
  slot = coalesce(var.slot_name, replace(lower(var.name), "/[^a-z0-9_]/", "_"))
  # As Debezium does it: what no topic's name may hold becomes _.
  topics = [for table in var.tables : replace("${var.topic_prefix}.${table}", "$", "_")]

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
        # Names in Avro begin with a letter or _, and hold letters, digits and _: others are written so.
        "schema.name.adjustment.mode" = "avro"
        "field.name.adjustment.mode"  = "avro"
      } : key => value if value != null
    }
  }

  flat = !var.unwrap ? {} : {
    "transforms"                                       = "unwrap"
    "transforms.unwrap.type"                           = "io.debezium.transforms.ExtractNewRecordState"
    "transforms.unwrap.delete.tombstone.handling.mode" = "tombstone"
  }

  config = merge(
    {
      "database.hostname"           = var.host
      "database.port"               = tostring(var.port)
      "database.dbname"             = var.database
      "database.user"               = var.user
      "database.password"           = var.password
      "database.sslmode"            = var.ssl_mode
      "topic.prefix"                = var.topic_prefix
      "table.include.list"          = join(",", [for table in var.tables : replace(replace(table, ".", "\\."), "$", "\\$")])
      "plugin.name"                 = "pgoutput"
      "slot.name"                   = local.slot
      "publication.name"            = coalesce(var.publication, local.slot)
      "publication.autocreate.mode" = var.publication_mode
      "snapshot.mode"               = var.snapshot_mode
      "heartbeat.interval.ms"       = tostring(var.heartbeat_interval_ms)
      "decimal.handling.mode"       = var.decimals
    },
    local.converters[var.format],
    local.flat,
    var.task_config,
  )
}

module "connector" {
  source = "../source"

  enabled        = var.enabled
  name           = var.name
  namespace      = var.namespace
  cluster        = var.cluster
  class          = "io.debezium.connector.postgresql.PostgresConnector"
  topics         = local.topics
  task_config    = local.config
  state          = var.state
  auto_restart   = var.auto_restart
  plugin_version = var.plugin_version
  labels         = var.labels
}
