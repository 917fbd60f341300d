mock_provider "kubectl" {}

variables {
  name                = "totals"
  cluster             = "connect"
  topics              = ["order-totals"]
  connection_url      = "jdbc:postgresql://db.example:5432/reports"
  user                = "writer"
  password            = "$${secrets:kafka/reports:password}"
  schema_registry_url = "http://registry:8081"
}

run "writes_each_keys_newest_row" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).spec.class == "io.debezium.connector.jdbc.JdbcSinkConnector" && jsondecode(output.manifest).spec.config.topics == "order-totals"
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["insert.mode"] == "upsert" && jsondecode(output.manifest).spec.config["primary.key.mode"] == "record_key" && jsondecode(output.manifest).spec.config["delete.enabled"] == "false" && jsondecode(output.manifest).spec.config["schema.evolution"] == "none"
    error_message = "the defaults"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["collection.name.format"] == "$${topic}" && !can(jsondecode(output.manifest).spec.config["primary.key.fields"])
    error_message = "the table"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["connection.password"] == "$${secrets:kafka/reports:password}"
    error_message = "the password is a reference"
  }

  assert {
    condition     = output.consumer_group == "connect-totals"
    error_message = "its group"
  }
}

run "passes_on_what_it_is_told" {
  command = plan

  variables {
    table             = "public.totals"
    insert_mode       = "insert"
    key_mode          = "record_value"
    key_fields        = ["symbol", "day"]
    schema_evolution  = "basic"
    batch_size        = 100
    format            = "json_schema"
    tasks_max         = 3
    dead_letter_topic = "totals-dead"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["collection.name.format"] == "public.totals" && jsondecode(output.manifest).spec.config["primary.key.fields"] == "symbol,day" && jsondecode(output.manifest).spec.config["batch.size"] == "100"
    error_message = "its configuration"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["value.converter.schemas.enable"] == "true" && jsondecode(output.manifest).spec.tasksMax == 3 && jsondecode(output.manifest).spec.config["errors.deadletterqueue.topic.name"] == "totals-dead"
    error_message = "the rest"
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

run "refuses_a_password_in_the_address" {
  command = plan

  variables {
    connection_url = "jdbc:postgresql://db/reports?user=a&password=b"
  }

  expect_failures = [var.connection_url]
}

run "refuses_a_password_in_clear_text" {
  command = plan

  variables {
    password = "hunter2"
  }

  expect_failures = [var.password]
}

run "refuses_an_insert_mode_that_there_is_not" {
  command = plan

  variables {
    insert_mode = "merge"
  }

  expect_failures = [var.insert_mode]
}

run "refuses_a_key_mode_that_there_is_not" {
  command = plan

  variables {
    key_mode = "key"
  }

  expect_failures = [var.key_mode]
}

run "refuses_to_delete_without_the_records_key" {
  command = plan

  variables {
    delete     = true
    key_mode   = "record_value"
    key_fields = ["id"]
  }

  expect_failures = [output.manifest]
}

run "refuses_to_upsert_without_a_key" {
  command = plan

  variables {
    key_mode = "none"
  }

  expect_failures = [output.manifest]
}

run "refuses_a_key_of_no_fields" {
  command = plan

  variables {
    key_mode = "record_value"
  }

  expect_failures = [output.manifest]
}

run "refuses_avro_without_a_registry" {
  command = plan

  variables {
    schema_registry_url = null
  }

  expect_failures = [output.manifest]
}
