mock_provider "kubectl" {}

variables {
  name    = "orders"
  cluster = "connect"
  class   = "org.example.Connector"
  topics  = ["orders", "prices"]
}

run "reads_its_topics" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).spec.config == { topics = "orders,prices" }
    error_message = "its configuration"
  }

  assert {
    condition     = output.consumer_group == "connect-orders"
    error_message = "its group"
  }
}

run "reads_topics_by_a_regular_expression" {
  command = plan

  variables {
    topics       = []
    topics_regex = "shop\\..*"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config == { "topics.regex" = "shop\\..*" }
    error_message = "its configuration"
  }
}

run "puts_what_it_cannot_read_aside" {
  command = plan

  variables {
    dead_letter_topic = "orders-dead"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["errors.tolerance"] == "all" && jsondecode(output.manifest).spec.config["errors.deadletterqueue.topic.name"] == "orders-dead" && jsondecode(output.manifest).spec.config["errors.deadletterqueue.context.headers.enable"] == "true"
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

run "refuses_topics_and_a_regular_expression" {
  command = plan

  variables {
    topics_regex = "x.*"
  }

  expect_failures = [kubectl_manifest.this]
}

run "refuses_no_topics" {
  command = plan

  variables {
    topics = []
  }

  expect_failures = [kubectl_manifest.this]
}

run "refuses_topics_in_the_configuration" {
  command = plan

  variables {
    task_config = { topics = "orders" }
  }

  expect_failures = [var.task_config]
}

run "refuses_a_name_that_no_topic_has" {
  command = plan

  variables {
    topics = ["or,ders"]
  }

  expect_failures = [var.topics]
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
