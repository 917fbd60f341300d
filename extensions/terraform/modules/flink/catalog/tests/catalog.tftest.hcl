mock_provider "kubectl" {}

variables {
  name      = "declarations"
  directory = "tests/sql"
}

run "holds_the_declarations_as_they_are" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).kind == "ConfigMap" && jsondecode(output.manifest).metadata.name == "declarations" && jsondecode(output.manifest).metadata.namespace == "flink" && output.name == "declarations"
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).data["tables--orders.sql"] == "CREATE TABLE orders (id BIGINT) WITH ($${kafka.main});\n"
    error_message = "a table, with its parameters"
  }

  assert {
    condition     = toset(output.keys) == toset(["functions--udf_half.py", "tables--orders.sql", "views--large.sql"])
    error_message = "tables, views and functions, and no job"
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.labels["sdp.catalog"] == "declarations" && jsondecode(output.manifest).metadata.labels["app.kubernetes.io/part-of"] == "sdp"
    error_message = "the labels it is found by"
  }
}

run "takes_another_place_and_labels" {
  command = plan

  variables {
    namespace = "team"
    labels    = { team = "risk" }
  }

  assert {
    condition     = jsondecode(output.manifest).metadata.namespace == "team" && jsondecode(output.manifest).metadata.labels.team == "risk"
    error_message = "namespace and labels"
  }
}

run "makes_nothing_where_it_is_not_enabled" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = output.name == null && output.manifest == null
    error_message = "nothing is made"
  }
}

run "refuses_wrong_values" {
  command = plan

  variables {
    name      = "Declarations"
    namespace = "my_space"
    directory = "tests/none"
    labels    = { team = "a b" }
  }

  expect_failures = [var.name, var.namespace, var.directory, var.labels]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    directory = "tests/gone"
  }

  expect_failures = [var.directory]
}

run "refuses_a_directory_of_other_folders" {
  command = plan

  variables {
    directory = "tests/elsewhere"
  }

  expect_failures = [var.directory]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    directory = "tests/odd"
  }

  expect_failures = [var.directory]
}
