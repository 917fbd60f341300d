# A table's changes → topic → SQL job → topic → a table. Each part waits for the one before it.

locals {
  prefix = var.name
  from   = "${local.prefix}.${var.from.table}"
  to     = "${var.name}.result"
}

module "changes" {
  source = "../../../modules/kafka-topic"

  enabled    = var.enabled
  name       = local.from
  namespace  = var.kafka_namespace
  labels     = var.labels
  cluster    = var.kafka_cluster
  partitions = var.partitions
  config     = { "cleanup.policy" = "compact,delete" }
}

module "result" {
  source = "../../../modules/kafka-topic"

  enabled    = var.enabled
  name       = local.to
  namespace  = var.kafka_namespace
  labels     = var.labels
  cluster    = var.kafka_cluster
  partitions = var.partitions
  config     = { "cleanup.policy" = "compact" }
}

module "source" {
  source     = "../../../modules/kafka-connect/debezium-postgres-source"
  depends_on = [module.changes]

  enabled      = var.enabled
  name         = "${var.name}-source"
  namespace    = var.kafka_namespace
  labels       = var.labels
  cluster      = var.connect_cluster
  host         = var.from.host
  database     = var.from.database
  user         = var.from.user
  password     = var.from.password
  tables       = [var.from.table]
  topic_prefix = local.prefix
}

module "job" {
  source     = "../../../modules/flink/sql-job"
  depends_on = [module.changes, module.result]

  enabled         = var.enabled
  job_name        = var.name
  namespace       = var.flink_namespace
  labels          = var.labels
  session_cluster = var.session_cluster
  parallelism     = var.partitions
  sql             = var.sql
  kafka           = { main = merge(var.kafka, { "schema.registry.url" = var.registry_url }) }
  args            = merge({ from = module.source.topics[0], to = local.to, group = var.name }, var.args)
}

module "sink" {
  source     = "../../../modules/kafka-connect/jdbc-sink"
  depends_on = [module.result]

  enabled             = var.enabled
  name                = "${var.name}-sink"
  namespace           = var.kafka_namespace
  labels              = var.labels
  cluster             = var.connect_cluster
  topics              = [local.to]
  tasks_max           = var.partitions
  connection_url      = var.to.url
  user                = var.to.user
  password            = var.to.password
  table               = var.to.table
  key_fields          = var.to.key
  delete              = true
  format              = "avro"
  schema_registry_url = var.registry_url
}
