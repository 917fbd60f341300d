locals {
  high_availability = coalesce(var.high_availability, try(var.checkpoint_config.s3_path, null) != null)
  # Bytes, since length() counts characters.
  manifest_bytes = floor(length(base64encode(module.deployment.manifest)) / 4) * 3
}

module "deployment" {
  source = "../deployment"

  name                = var.name
  label               = "sdp.session-cluster"
  high_availability   = local.high_availability
  enabled             = var.enabled
  namespace           = var.namespace
  flink_image         = var.flink_image
  flink_version       = var.flink_version
  image_pull_policy   = var.image_pull_policy
  image_pull_secrets  = var.image_pull_secrets
  service_account     = var.service_account
  tm_resource         = var.tm_resource
  jm_resource         = var.jm_resource
  task_slots          = var.task_slots
  checkpoint_config   = var.checkpoint_config
  flink_configuration = var.flink_configuration
  secret_env          = var.secret_env
  secret_files        = var.secret_files
  ingress             = var.ingress
  monitoring          = var.monitoring
  log_configuration   = var.log_configuration
  labels              = var.labels
  restart_nonce       = var.restart_nonce
}
