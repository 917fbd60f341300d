# Values come from sql-job, python-job, java-job and data-replication-job, which check them.

variable "enabled" {
  description = "Whether the job exists."
  type        = bool
}

variable "job_name" {
  description = "The job's name."
  type        = string
}

variable "namespace" {
  description = "Its namespace."
  type        = string
}

variable "session_cluster" {
  description = "The session cluster's FlinkDeployment."
  type        = string
}

variable "jar_uri" {
  description = "Its jar; without one the operator uploads an empty one."
  type        = string
  default     = null
}

variable "entry_class" {
  description = "The class that is run."
  type        = string
  default     = null
}

variable "arguments" {
  description = "What it is given."
  type        = list(string)
  default     = []
}

variable "parallelism" {
  description = "How many task slots it takes."
  type        = number
}

variable "state" {
  description = "running or suspended."
  type        = string
}

variable "upgrade_mode" {
  description = "What a changed job begins from."
  type        = string
}

variable "checkpoint_config" {
  description = "How and where state is saved."
  type        = object({ interval = string, timeout = string, s3_path = string })
  default     = null
}

variable "flink_configuration" {
  description = "More of Flink's configuration."
  type        = map(string)
  default     = {}
}

variable "labels" {
  description = "More labels."
  type        = map(string)
  default     = {}
}

variable "initial_savepoint_path" {
  description = "What the job begins from when it is made."
  type        = string
  default     = null
}

variable "allow_non_restored_state" {
  description = "Whether state without a place may be left out."
  type        = bool
  default     = null
}

variable "restart_nonce" {
  description = "Another number restarts the job."
  type        = number
  default     = null
}

variable "savepoint_trigger_nonce" {
  description = "Another number has a savepoint taken."
  type        = number
  default     = null
}

variable "savepoint_redeploy_nonce" {
  description = "Another number has the job begin from initial_savepoint_path."
  type        = number
  default     = null
}
