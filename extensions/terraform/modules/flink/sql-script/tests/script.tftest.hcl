mock_provider "kubectl" {}

variables {
  sql  = ["tests/a.sql"]
  args = { symbol = "ACME" }
}

run "fills_in_a_file" {
  command = plan

  assert {
    condition     = output.script == "SELECT 'ACME', '$${literal}', '%%{if}';\n"
    error_message = "parameters are filled in, doubled signs are literal"
  }
}

run "joins_files_in_their_order" {
  command = plan

  variables {
    sql       = ["tests/b.sql", "tests/a.sql"]
    kafka     = { main = { "bootstrap.servers" = "k:9092", "schema.registry.url" = "http://r:8081" } }
    functions = "s3://team/functions"
  }

  assert {
    condition     = startswith(output.script, "-- 'properties.bootstrap.servers' = 'k:9092' 'http://r:8081' s3://team/functions\n\nSELECT")
    error_message = "connections, registries and functions are filled in; files are joined by a line break"
  }
}

run "writes_a_connection_by_the_java_client_s_names" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9093", "sasl.mechanism" = "PLAIN", "sasl.username" = "it's", "sasl.password" = "env:PW", "ssl.ca.location" = "/ca.pem" } }
  }

  assert {
    condition     = strcontains(output.fragments.main, "PlainLoginModule required username=\"it''s\" password=\"$${env:PW}\";")
    error_message = "a user and a reference to a password are a login, with quotes doubled"
  }

  assert {
    condition     = strcontains(output.fragments.main, "'properties.ssl.truststore.location' = '/ca.pem'")
    error_message = "an authority is a trust store"
  }

  assert {
    condition     = !strcontains(output.fragments.main, "sasl.username")
    error_message = "librdkafka's names are left out"
  }
}

run "reads_a_secret_from_a_file" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9093", "sasl.mechanism" = "SCRAM-SHA-512", "sasl.username" = "u", "sasl.password" = "file:/run/secrets/pw" } }
  }

  assert {
    condition     = strcontains(output.fragments.main, "password=\"$${dir:/run/secrets:pw}\"")
    error_message = "a file is read by the directory provider"
  }

  assert {
    condition     = strcontains(output.fragments.main, "'properties.config.providers' = 'dir'")
    error_message = "which is declared"
  }
}

run "has_no_registry_where_there_is_none" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9092" } }
  }

  assert {
    condition     = length(output.registries) == 0
    error_message = "no registry"
  }
}

run "refuses_a_missing_file" {
  command = plan

  variables {
    sql = ["tests/none.sql"]
  }

  expect_failures = [var.sql]
}

run "refuses_functions_with_a_quote" {
  command = plan

  variables {
    functions = "s3://it's"
  }

  expect_failures = [var.functions]
}

run "refuses_an_argument_with_a_quote" {
  command = plan

  variables {
    args = { symbol = "it's" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_semicolon" {
  command = plan

  variables {
    args = { symbol = "a;b" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_line_break" {
  command = plan

  variables {
    args = { symbol = "a\nb" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_double_quote" {
  command = plan

  variables {
    args = { symbol = "\"" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_backquote" {
  command = plan

  variables {
    args = { symbol = "`" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_backslash" {
  command = plan

  variables {
    args = { symbol = "\\" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_comment" {
  command = plan

  variables {
    args = { symbol = "a -- b" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_an_opened_comment" {
  command = plan

  variables {
    args = { symbol = "/* a" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_closed_comment" {
  command = plan

  variables {
    args = { symbol = "a */" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_parameter" {
  command = plan

  variables {
    args = { symbol = "$${a}" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_directive" {
  command = plan

  variables {
    args = { symbol = "%%{if}" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_nul" {
  command = plan

  variables {
    args = { symbol = "\u0000" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_with_a_carriage_return" {
  command = plan

  variables {
    args = { symbol = "\r" }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_without_a_value" {
  command = plan

  variables {
    args = { symbol = null }
  }

  expect_failures = [var.args]
}

run "refuses_an_argument_s_name" {
  command = plan

  variables {
    args = { "a b" = "x" }
  }

  expect_failures = [var.args]
}

run "refuses_kafka_among_the_arguments" {
  command = plan

  variables {
    args = { kafka = "x" }
  }

  expect_failures = [var.args]
}

run "refuses_registry_among_the_arguments" {
  command = plan

  variables {
    args = { registry = "x" }
  }

  expect_failures = [var.args]
}

run "refuses_functions_among_the_arguments" {
  command = plan

  variables {
    args = { functions = "x" }
  }

  expect_failures = [var.args]
}

run "refuses_wrong_values" {
  command = plan

  variables {
    kafka = { "a.b" = { "bootstrap.servers" = "k:9092" } }
  }

  expect_failures = [var.kafka]
}

run "refuses_wrong_values_2" {
  command = plan

  variables {
    kafka = { main = { "client.id" = "x" } }
  }

  expect_failures = [var.kafka]
}

run "refuses_wrong_values_3" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9092", "sasl.password" = "hunter2" } }
  }

  expect_failures = [var.kafka]
}

run "refuses_wrong_values_4" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9092", "sasl.jaas.config" = "x" } }
  }

  expect_failures = [var.kafka]
}

run "refuses_wrong_values_5" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9092", "schema.registry.basic.auth.password" = "x" } }
  }

  expect_failures = [var.kafka]
}

run "refuses_wrong_values_6" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9092", "sasl.password" = "file:~/pw" } }
  }

  expect_failures = [var.kafka]
}

run "refuses_wrong_values_7" {
  command = plan

  variables {
    kafka = { main = { "bootstrap.servers" = "k:9092", "ssl.certificate.location" = "../c.pem" } }
  }

  expect_failures = [var.kafka]
}
