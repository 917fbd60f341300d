mock_provider "kubectl" {}

variables {
  name         = "shop-orders"
  cluster      = "connect"
  host         = "db.example"
  database     = "shop"
  user         = "replicator"
  password     = "$${secrets:kafka/shop:password}"
  topic_prefix = "shop"
  tables       = ["public.orders", "public.order$lines"]
}

run "reads_tables_by_pgoutput" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).spec.class == "io.debezium.connector.postgresql.PostgresConnector" && jsondecode(output.manifest).spec.tasksMax == 1
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["plugin.name"] == "pgoutput" && jsondecode(output.manifest).spec.config["slot.name"] == "shop_orders" && jsondecode(output.manifest).spec.config["publication.name"] == "shop_orders"
    error_message = "replication"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["table.include.list"] == "public\\.orders,public\\.order\\$lines"
    error_message = "tables, as regular expressions"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["snapshot.mode"] == "initial" && jsondecode(output.manifest).spec.config["heartbeat.interval.ms"] == "10000" && jsondecode(output.manifest).spec.config["decimal.handling.mode"] == "string"
    error_message = "the defaults"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["database.password"] == "$${secrets:kafka/shop:password}"
    error_message = "the password is a reference"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["value.converter.schemas.enable"] == "false" && !can(jsondecode(output.manifest).spec.config.transforms)
    error_message = "records with their envelope"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.config["schema.name.adjustment.mode"]) && !can(jsondecode(output.manifest).spec.config["field.name.adjustment.mode"])
    error_message = "JSON takes every name"
  }

  assert {
    condition     = output.topics == ["shop.public.orders", "shop.public.order_lines"] && output.slot_name == "shop_orders"
    error_message = "what it writes"
  }
}

run "writes_avro_without_an_envelope" {
  command = plan

  variables {
    format              = "avro"
    schema_registry_url = "http://registry:8081"
    unwrap              = true
    slot_name           = "mine"
    publication         = "theirs"
    publication_mode    = "disabled"
    snapshot_mode       = "no_data"
    task_config         = { "max.batch.size" = "4096", "heartbeat.interval.ms" = "5000" }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["value.converter.schema.registry.url"] == "http://registry:8081" && jsondecode(output.manifest).spec.config["transforms.unwrap.type"] == "io.debezium.transforms.ExtractNewRecordState"
    error_message = "format"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["schema.name.adjustment.mode"] == "avro" && jsondecode(output.manifest).spec.config["field.name.adjustment.mode"] == "avro"
    error_message = "names that Avro takes"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["slot.name"] == "mine" && jsondecode(output.manifest).spec.config["publication.name"] == "theirs" && jsondecode(output.manifest).spec.config["publication.autocreate.mode"] == "disabled" && jsondecode(output.manifest).spec.config["snapshot.mode"] == "no_data"
    error_message = "replication"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["max.batch.size"] == "4096" && jsondecode(output.manifest).spec.config["heartbeat.interval.ms"] == "5000"
    error_message = "more, which goes before"
  }
}

run "makes_nothing_when_it_is_not_enabled" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = output.name == null && output.manifest == null
    error_message = "nothing"
  }
}

run "refuses_a_password_in_clear_text" {
  command = plan

  variables {
    password = "hunter2"
  }

  expect_failures = [var.password]
}

run "refuses_a_snapshot_mode_that_there_is_not" {
  command = plan

  variables {
    snapshot_mode = "never"
  }

  expect_failures = [var.snapshot_mode]
}

run "refuses_a_publication_mode_that_there_is_not" {
  command = plan

  variables {
    publication_mode = "all"
  }

  expect_failures = [var.publication_mode]
}

run "refuses_a_slot_that_postgres_does_not_take" {
  command = plan

  variables {
    slot_name = "My-Slot"
  }

  expect_failures = [var.slot_name]
}

run "refuses_a_table_without_a_schema" {
  command = plan

  variables {
    tables = ["orders"]
  }

  expect_failures = [var.tables]
}

run "refuses_no_tables" {
  command = plan

  variables {
    tables = []
  }

  expect_failures = [var.tables]
}

run "refuses_a_port_that_there_is_not" {
  command = plan

  variables {
    port = 70000
  }

  expect_failures = [var.port]
}

run "refuses_avro_without_a_registry" {
  command = plan

  variables {
    format = "avro"
  }

  expect_failures = [output.manifest]
}

run "refuses_a_slot_too_long" {
  command = plan

  variables {
    name = "a123456789b123456789c123456789d123456789e123456789f123456789g123456789"
  }

  expect_failures = [output.manifest]
}

run "refuses_another_password_by_its_key" {
  command = plan

  variables {
    task_config = { "database.password" = "$${env:X}" }
  }

  expect_failures = [var.task_config]
}
