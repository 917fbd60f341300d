mock_provider "kubectl" {}

variables {
  name    = "orders"
  cluster = "main"
}

run "is_a_topic_of_its_cluster" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).apiVersion == "kafka.strimzi.io/v1" && jsondecode(output.manifest).kind == "KafkaTopic"
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.name == "orders" && jsondecode(output.manifest).metadata.namespace == "kafka" && jsondecode(output.manifest).metadata.labels["strimzi.io/cluster"] == "main"
    error_message = "where it is"
  }

  assert {
    condition     = jsondecode(output.manifest).spec == { partitions = 1 }
    error_message = "nothing that was not asked for"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).metadata.annotations)
    error_message = "managed"
  }
}

run "passes_on_what_it_is_told" {
  command = plan

  variables {
    partitions = 6
    replicas   = 3
    namespace  = "team"
    labels     = { team = "risk" }
    managed    = false
    config     = { "retention.ms" = "-1", "cleanup.policy" = "compact,delete", "min.insync.replicas" = "2", "min.cleanable.dirty.ratio" = "0.1" }
  }

  assert {
    condition     = jsondecode(output.manifest).spec.partitions == 6 && jsondecode(output.manifest).spec.replicas == 3
    error_message = "its size"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["retention.ms"] == "-1" && jsondecode(output.manifest).spec.config["cleanup.policy"] == "compact,delete"
    error_message = "its configuration"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.annotations["strimzi.io/managed"] == "false" && jsondecode(output.manifest).metadata.labels.team == "risk"
    error_message = "annotations and labels"
  }
}

run "a_name_that_kubernetes_does_not_take_has_one_made_of_it" {
  command = plan

  variables {
    name = "Orders_EU..v1"
  }

  assert {
    condition     = output.resource_name == "orders-eu-v1-${substr(sha256("Orders_EU..v1"), 0, 8)}"
    error_message = "the resource"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.topicName == "Orders_EU..v1" && output.name == "Orders_EU..v1"
    error_message = "the topic"
  }
}

run "names_that_differ_in_case_alone_are_two_resources" {
  command = plan

  variables {
    name = "ORDERS"
  }

  assert {
    condition     = output.resource_name != "orders" && startswith(output.resource_name, "orders-")
    error_message = "the resource"
  }
}

run "a_name_of_marks_alone_has_a_resource_too" {
  command = plan

  variables {
    name = "__"
  }

  assert {
    condition     = output.resource_name == substr(sha256("__"), 0, 8)
    error_message = "the resource"
  }
}

run "dots_are_taken_by_kubernetes" {
  command = plan

  variables {
    name = "shop.public.orders"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.name == "shop.public.orders" && !can(jsondecode(output.manifest).spec.topicName)
    error_message = "the resource"
  }
}

run "a_resource_may_have_a_name_of_its_own" {
  command = plan

  variables {
    resource_name = "the-orders"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.name == "the-orders" && jsondecode(output.manifest).spec.topicName == "orders"
    error_message = "the resource"
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

run "refuses_a_name_that_kafka_does_not_take" {
  command = plan

  variables {
    name = "or ders"
  }

  expect_failures = [var.name]
}

run "refuses_partitions_that_are_none" {
  command = plan

  variables {
    partitions = 0
  }

  expect_failures = [var.partitions]
}

run "refuses_replicas_that_are_none" {
  command = plan

  variables {
    replicas = 0
  }

  expect_failures = [var.replicas]
}

run "refuses_a_configuration_that_kafka_does_not_have" {
  command = plan

  variables {
    config = { "retention" = "1" }
  }

  expect_failures = [var.config]
}

run "refuses_a_retention_in_words" {
  command = plan

  variables {
    config = { "retention.ms" = "7 d" }
  }

  expect_failures = [var.config]
}

run "refuses_a_cleanup_policy_that_is_none" {
  command = plan

  variables {
    config = { "cleanup.policy" = "compacted" }
  }

  expect_failures = [var.config]
}

run "refuses_more_replicas_in_sync_than_there_are" {
  command = plan

  variables {
    replicas = 1
    config   = { "min.insync.replicas" = "2" }
  }

  expect_failures = [kubectl_manifest.this]
}

run "refuses_a_cluster_that_is_no_name" {
  command = plan

  variables {
    cluster = "Main"
  }

  expect_failures = [var.cluster]
}
