mock_provider "kubectl" {}

variables {
  name    = "archive"
  cluster = "connect"
  topics  = ["orders"]
  bucket  = "team-archive"
  region  = "eu-central-1"
}

run "writes_json_lines_by_topic_and_day" {
  command = plan

  assert {
    condition     = jsondecode(output.manifest).spec.class == "io.aiven.kafka.connect.s3.AivenKafkaConnectS3SinkConnector" && jsondecode(output.manifest).spec.config["aws.s3.bucket.name"] == "team-archive" && jsondecode(output.manifest).spec.config["aws.s3.region"] == "eu-central-1"
    error_message = "what it is"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["format.output.type"] == "jsonl" && jsondecode(output.manifest).spec.config["file.compression.type"] == "gzip" && jsondecode(output.manifest).spec.config["format.output.envelope"] == "false"
    error_message = "the defaults"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.config["aws.access.key.id"]) && !can(jsondecode(output.manifest).spec.config["aws.s3.prefix"])
    error_message = "identity of the pods"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["file.name.template"] == "{{topic}}/{{timestamp:unit=yyyy}}-{{timestamp:unit=MM}}-{{timestamp:unit=dd}}/{{partition}}-{{start_offset:padding=true}}.jsonl.gz"
    error_message = "names with an extension"
  }

  assert {
    condition     = !can(jsondecode(output.manifest).spec.config["format.output.fields.value.encoding"])
    error_message = "an encoding that only CSV has"
  }

  assert {
    condition     = output.location == "s3://team-archive/"
    error_message = "where"
  }
}

run "passes_on_what_it_is_told" {
  command = plan

  variables {
    endpoint            = "http://minio:9000"
    prefix              = "raw/"
    access_key_id       = "$${secrets:kafka/s3:id}"
    secret_access_key   = "$${secrets:kafka/s3:key}"
    output              = "parquet"
    format              = "avro"
    schema_registry_url = "http://registry:8081"
    compression         = "zstd"
    fields              = ["key", "value"]
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["aws.s3.endpoint"] == "http://minio:9000" && jsondecode(output.manifest).spec.config["aws.s3.prefix"] == "raw/" && jsondecode(output.manifest).spec.config["aws.secret.access.key"] == "$${secrets:kafka/s3:key}"
    error_message = "its store"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["format.output.type"] == "parquet" && jsondecode(output.manifest).spec.config["format.output.fields"] == "key,value" && jsondecode(output.manifest).spec.config["format.output.envelope"] == "true"
    error_message = "its format"
  }

  assert {
    condition     = endswith(jsondecode(output.manifest).spec.config["file.name.template"], "{{start_offset:padding=true}}.parquet")
    error_message = "parquet compresses within"
  }
}

run "assumes_a_role" {
  command = plan

  variables {
    role_arn = "arn:aws:iam::123456789012:role/archive"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["aws.sts.role.arn"] == "arn:aws:iam::123456789012:role/archive" && jsondecode(output.manifest).spec.config["aws.sts.role.session.name"] == "archive"
    error_message = "the role"
  }
}

run "keeps_bytes_for_csv" {
  command = plan

  variables {
    output = "csv"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["value.converter"] == "org.apache.kafka.connect.converters.ByteArrayConverter"
    error_message = "bytes"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["format.output.fields.value.encoding"] == "none" && !can(jsondecode(output.manifest).spec.config["format.output.envelope"])
    error_message = "not in Base64"
  }

  assert {
    condition     = endswith(jsondecode(output.manifest).spec.config["file.name.template"], "{{start_offset:padding=true}}.csv.gz")
    error_message = "a name that says what is in it"
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

run "refuses_a_key_in_clear_text" {
  command = plan

  variables {
    access_key_id     = "AKIA123"
    secret_access_key = "$${env:KEY}"
  }

  expect_failures = [var.access_key_id]
}

run "refuses_half_a_key" {
  command = plan

  variables {
    access_key_id = "$${env:ID}"
  }

  expect_failures = [output.manifest]
}

run "refuses_a_role_beside_keys" {
  command = plan

  variables {
    access_key_id     = "$${env:ID}"
    secret_access_key = "$${env:KEY}"
    role_arn          = "arn:aws:iam::123456789012:role/archive"
  }

  expect_failures = [output.manifest]
}

run "refuses_parquet_of_json" {
  command = plan

  variables {
    output = "parquet"
  }

  expect_failures = [output.manifest]
}

run "refuses_an_output_that_there_is_not" {
  command = plan

  variables {
    output = "orc"
  }

  expect_failures = [var.output]
}

run "refuses_a_bucket_that_there_is_not" {
  command = plan

  variables {
    bucket = "Team_Archive"
  }

  expect_failures = [var.bucket]
}

run "names_objects_that_are_not_compressed" {
  command = plan

  variables {
    output      = "json"
    compression = "none"
  }

  assert {
    condition     = endswith(jsondecode(output.manifest).spec.config["file.name.template"], "{{start_offset:padding=true}}.json")
    error_message = "no second extension"
  }
}

run "takes_a_name_of_offsets" {
  command = plan

  variables {
    file_name = "{{ topic }}/{{partition:padding=true}}/{{start_offset}}.gz"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["file.name.template"] == "{{ topic }}/{{partition:padding=true}}/{{start_offset}}.gz"
    error_message = "the name as it is given"
  }
}

run "takes_a_name_of_offsets_and_key" {
  command = plan

  variables {
    file_name = "{{topic}}/{{partition}}/{{key}}/{{start_offset}}"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["file.name.template"] == "{{topic}}/{{partition}}/{{key}}/{{start_offset}}"
    error_message = "the name as it is given"
  }
}

run "takes_a_name_of_keys" {
  command = plan

  variables {
    file_name = "{{key}}.json"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["file.name.template"] == "{{key}}.json"
    error_message = "the name as it is given"
  }
}

run "takes_a_name_of_keys_by_topic_and_partition" {
  command = plan

  variables {
    file_name = "{{topic}}/{{partition}}/{{key}}.json"
  }

  assert {
    condition     = jsondecode(output.manifest).spec.config["file.name.template"] == "{{topic}}/{{partition}}/{{key}}.json"
    error_message = "the name as it is given"
  }
}

run "refuses_names_that_overwrite_each_other" {
  command = plan

  variables {
    file_name = "{{topic}}"
  }

  expect_failures = [var.file_name]
}

run "refuses_a_name_of_offsets_alone" {
  command = plan

  variables {
    file_name = "{{start_offset}}"
  }

  expect_failures = [var.file_name]
}

run "refuses_a_name_of_offsets_without_a_partition" {
  command = plan

  variables {
    file_name = "{{topic}}/{{start_offset}}"
  }

  expect_failures = [var.file_name]
}

run "refuses_a_name_of_keys_and_time" {
  command = plan

  variables {
    file_name = "{{key}}/{{timestamp:unit=dd}}"
  }

  expect_failures = [var.file_name]
}

run "refuses_a_name_without_variables" {
  command = plan

  variables {
    file_name = "orders.gz"
  }

  expect_failures = [var.file_name]
}

run "refuses_a_variable_that_there_is_not" {
  command = plan

  variables {
    file_name = "{{topic}}/{{partition}}/{{start_offset}}/{{host}}"
  }

  expect_failures = [var.file_name]
}

run "refuses_a_time_without_its_unit" {
  command = plan

  variables {
    file_name = "{{topic}}/{{timestamp}}/{{partition}}/{{start_offset}}"
  }

  expect_failures = [var.file_name]
}

run "refuses_what_is_no_variable" {
  command = plan

  variables {
    file_name = "{{topic}}/{{partition}}/{{start_offset}}/{{ }}"
  }

  expect_failures = [var.file_name]
}
