locals {
  converters = {
    worker = {}
    json_schema = {
      "key.converter"                  = "org.apache.kafka.connect.json.JsonConverter"
      "key.converter.schemas.enable"   = "true"
      "value.converter"                = "org.apache.kafka.connect.json.JsonConverter"
      "value.converter.schemas.enable" = "true"
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

  config = merge(
    { for key, value in {
      "connection.url"         = var.connection_url
      "connection.username"    = var.user
      "connection.password"    = var.password
      "collection.name.format" = var.table
      "insert.mode"            = var.insert_mode
      "primary.key.mode"       = var.key_mode
      "primary.key.fields"     = length(var.key_fields) > 0 ? join(",", var.key_fields) : null
      "delete.enabled"         = tostring(var.delete)
      "schema.evolution"       = var.schema_evolution
      "batch.size"             = tostring(var.batch_size)
    } : key => value if value != null },
    local.converters[var.format],
    var.task_config,
  )
}

module "connector" {
  source = "../sink"

  enabled           = var.enabled
  name              = var.name
  namespace         = var.namespace
  cluster           = var.cluster
  class             = "io.debezium.connector.jdbc.JdbcSinkConnector"
  topics            = var.topics
  dead_letter_topic = var.dead_letter_topic
  tasks_max         = var.tasks_max
  task_config       = local.config
  state             = var.state
  auto_restart      = var.auto_restart
  plugin_version    = var.plugin_version
  labels            = var.labels
}
