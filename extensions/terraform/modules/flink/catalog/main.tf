locals {
  files = fileset(var.directory, "{tables,views,functions,other}/*.{sql,py}")
  # A key holds no slash: sql/tables/orders.sql is tables--orders.sql.
  data  = { for file in local.files : replace(file, "/", "--") => file("${var.directory}/${file}") }
  sizes = reverse(sort([for file in local.files : format("%012d %s", length(filebase64("${var.directory}/${file}")), file)]))

  manifest = {
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata = {
      name      = var.name
      namespace = var.namespace
      labels = merge(var.labels, {
        "app.kubernetes.io/name"    = var.name
        "app.kubernetes.io/part-of" = "sdp"
        "sdp.catalog"               = var.name
      })
    }
    data = local.data
  }
  # Bytes, since length() counts characters.
  manifest_bytes = floor(length(base64encode(jsonencode(local.manifest))) / 4) * 3
}

resource "kubectl_manifest" "this" {
  count = var.enabled ? 1 : 0

  yaml_body         = jsonencode(local.manifest)
  server_side_apply = true
}
