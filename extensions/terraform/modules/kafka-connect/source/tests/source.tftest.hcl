mock_provider "kubectl" {}

variables {
  name    = "orders"
  cluster = "connect"
  class   = "org.example.Connector"
  topics  = ["orders"]
}

run "is_a_connector_of_its_cluster" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).apiVersion == "kafka.strimzi.io/v1" && jsondecode(output.manifest).kind == "KafkaConnector"
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.name == "orders" && jsondecode(output.manifest).metadata.namespace == "kafka" && jsondecode(output.manifest).metadata.labels["strimzi.io/cluster"] == "connect"
    error_message = "where it is"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.class == "org.example.Connector" && jsondecode(output.manifest).spec.tasksMax == 1 && jsondecode(output.manifest).spec.state == "running" && jsondecode(output.manifest).spec.autoRestart == { enabled = true }
    error_message = "the defaults"
  }

  assert {
    condition     = toset(keys(jsondecode(output.manifest).spec)) == toset(["class", "tasksMax", "state", "autoRestart", "config"]) && length(jsondecode(output.manifest).spec.config) == 0
    error_message = "nothing that was not asked for"
  }

  assert {
    condition     = output.topics == tolist(["orders"])
    error_message = "its topics"
  }
}

run "passes_on_what_it_is_told" {
  command = plan

  variables {
    namespace      = "team"
    tasks_max      = 2
    state          = "paused"
    auto_restart   = { enabled = true, max_restarts = 5 }
    plugin_version = "[3.5,4)"
    labels         = { team = "risk" }
    task_config    = { "file" = "/x" }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.tasksMax == 2 && jsondecode(output.manifest).spec.state == "paused" && jsondecode(output.manifest).spec.version == "[3.5,4)" && jsondecode(output.manifest).spec.autoRestart.maxRestarts == 5
    error_message = "its settings"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config == { file = "/x" } && jsondecode(output.manifest).metadata.namespace == "team" && jsondecode(output.manifest).metadata.labels.team == "risk"
    error_message = "its configuration"
  }
}

run "makes_nothing_when_it_is_not_enabled" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = length(kubectl_manifest.this) == 0 && output.name == null && output.manifest == null
    error_message = "nothing"
  }
}

run "takes_references_to_secrets" {
  command = plan

  variables {
    task_config = {
      "database.password"                  = "$${secrets:kafka/database:password}"
      "producer.override.sasl.jaas.config" = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"me\" password=\"$${env:PASSWORD}\";"
      "ssl.keystore.location"              = "/opt/kafka/keystore.p12"
    }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["database.password"] == "$${secrets:kafka/database:password}"
    error_message = "the reference"
  }
}

run "refuses_a_secret_in_clear_text" {
  command = plan

  variables {
    task_config = { "database.password" = "hunter2" }
  }

  expect_failures = [var.task_config]
}

run "refuses_a_secret_within_a_value" {
  command = plan

  variables {
    task_config = { "url" = "https://me:hunter2@example" }
  }

  expect_failures = [var.task_config]
}

run "refuses_a_secret_beside_a_reference" {
  command = plan

  variables {
    task_config = { "sasl.jaas.config" = "Module required password=\"hunter2\" other=\"$${env:X}\";" }
  }

  expect_failures = [var.task_config]
}

run "refuses_what_it_sets_itself" {
  command = plan

  variables {
    task_config = { "tasks.max" = "3" }
  }

  expect_failures = [var.task_config]
}

run "refuses_a_state_that_there_is_not" {
  command = plan

  variables {
    state = "suspended"
  }

  expect_failures = [var.state]
}

run "refuses_no_tasks" {
  command = plan

  variables {
    tasks_max = 0
  }

  expect_failures = [var.tasks_max]
}

run "refuses_a_class_that_is_none" {
  command = plan

  variables {
    class = "not a class"
  }

  expect_failures = [var.class]
}

run "refuses_a_name_that_kubernetes_does_not_take" {
  command = plan

  variables {
    name = "My_Connector"
  }

  expect_failures = [var.name]
}

run "refuses_a_version_that_is_none" {
  command = plan

  variables {
    plugin_version = "the newest"
  }

  expect_failures = [var.plugin_version]
}
