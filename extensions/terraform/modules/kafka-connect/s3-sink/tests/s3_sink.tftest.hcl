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

run "refuses_names_that_overwrite_each_other" {
  command = plan

  variables {
    file_name = "{{topic}}"
  }

  expect_failures = [var.file_name]
}
