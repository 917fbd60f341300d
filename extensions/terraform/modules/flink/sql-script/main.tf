# SQL files become one script, with parameters and connections filled in as the workbench does it.
# A cluster's properties are translated as in sdp_kernel/connection.py; a test holds the two to each other.

locals {
  shaded   = "org.apache.flink.kafka.shaded.org.apache.kafka.common"
  security = "${local.shaded}.security"
  login_modules = {
    "PLAIN"         = "${local.security}.plain.PlainLoginModule"
    "SCRAM-SHA-256" = "${local.security}.scram.ScramLoginModule"
    "SCRAM-SHA-512" = "${local.security}.scram.ScramLoginModule"
    "OAUTHBEARER"   = "${local.security}.oauthbearer.OAuthBearerLoginModule"
  }
  config_providers = {
    dir = "${local.shaded}.config.provider.DirectoryConfigProvider"
    env = "${local.shaded}.config.provider.EnvVarConfigProvider"
  }
  # What only librdkafka knows.
  python_only = "^(?:ssl\\.(ca|certificate|key)\\.(location|pem)|sasl\\.(username|password|mechanisms)|https\\..*|sasl\\.oauthbearer\\.(method|client\\..*|scope|extensions|config)|enable\\.ssl\\.certificate\\.verification)$"
  # The fields of a JAAS line, in its order.
  user_fields   = [["username", "sasl.username"], ["password", "sasl.password"]]
  client_fields = [["clientId", "sasl.oauthbearer.client.id"], ["clientSecret", "sasl.oauthbearer.client.secret"], ["scope", "sasl.oauthbearer.scope"]]

  # Client properties by alias, without the schema registry's.
  given = {
    for alias, properties in var.kafka : alias => {
      for key, value in properties : key => value if !startswith(key, "schema.registry.")
    }
  }

  # A file's content, as Kafka's DirectoryConfigProvider is asked for it; null for what is no path.
  content = {
    for alias, properties in local.given : alias => {
      for key, value in properties : key => try(
        format("$%s", "{dir:${coalesce(regex("^(?:file:)?((?:/[^/]+)*)/[^/]+$", value)[0], "/")}:${regex("[^/]+$", value)}}"), null
      )
    }
  }

  # Each value as Java's client reads it: a reference to a secret is one to a config provider.
  resolved = {
    for alias, properties in local.given : alias => {
      for key, value in properties : key => (
        can(regex("^(?s:env:.)", value)) ? format("$%s", "{env:${substr(value, 4, -1)}}") :
        can(regex("^(?s:file:.)", value)) ? local.content[alias][key] : value
      )
    }
  }

  mechanism = {
    for alias, p in local.given : alias => try(p["sasl.mechanism"], p["sasl.mechanisms"], can(p["sasl.oauthbearer.token.endpoint.url"]) ? "OAUTHBEARER" : null)
  }

  login_fields = {
    for alias, p in local.given : alias => (
      local.mechanism[alias] == null || can(p["sasl.jaas.config"]) || !can(local.login_modules[upper(local.mechanism[alias])]) ? [] : [
        for field in(upper(local.mechanism[alias]) == "OAUTHBEARER" ? local.client_fields : local.user_fields) : {
          name = field[0]
          value = (
            can(regex("^(?s:(env|file):.)", p[field[1]])) ? local.resolved[alias][field[1]] :
            replace(replace(p[field[1]], "\\", "\\\\"), "\"", "\\\"")
          )
          reference = can(regex("^(?s:(env|file):.)", p[field[1]]))
        } if can(p[field[1]])
      ]
    )
  }

  login = {
    for alias, fields in local.login_fields : alias => length(fields) == 0 ? {} : {
      "sasl.jaas.config" = "${local.login_modules[upper(local.mechanism[alias])]} required ${join(" ", [for field in fields : "${field.name}=\"${field.value}\""])};"
    }
  }

  # The properties by the Java client's names; null where there is none of that name.
  translated = {
    for alias, p in local.given : alias => merge(
      { for key, value in local.resolved[alias] : key => value if !can(regex(local.python_only, key)) },
      { for key, value in {
        "sasl.mechanism" = local.mechanism[alias]
        "ssl.truststore.type" = (
          can(p["ssl.ca.location"]) && !can(p["ssl.truststore.location"]) || can(p["ssl.ca.pem"]) && !can(p["ssl.truststore.certificates"]) ? "PEM" : null
        )
        "ssl.truststore.location" = can(p["ssl.truststore.location"]) ? null : try(p["ssl.ca.location"], null)
        "ssl.truststore.certificates" = (
          can(p["ssl.truststore.certificates"]) || can(p["ssl.ca.location"]) && !can(p["ssl.truststore.location"]) ? null : try(local.resolved[alias]["ssl.ca.pem"], null)
        )
        "ssl.keystore.type"              = can(p["ssl.certificate.location"]) && !can(p["ssl.keystore.location"]) ? "PEM" : null
        "ssl.keystore.location"          = can(p["ssl.keystore.location"]) || try(p["ssl.key.location"] != p["ssl.certificate.location"], false) ? null : try(p["ssl.certificate.location"], null)
        "ssl.keystore.certificate.chain" = !can(p["ssl.keystore.location"]) && try(p["ssl.key.location"] != p["ssl.certificate.location"], false) ? local.content[alias]["ssl.certificate.location"] : null
        "ssl.keystore.key"               = !can(p["ssl.keystore.location"]) && try(p["ssl.key.location"] != p["ssl.certificate.location"], false) ? local.content[alias]["ssl.key.location"] : null
        "sasl.login.callback.handler.class" = (
          length(local.login_fields[alias]) == 0 || upper(coalesce(local.mechanism[alias], "-")) != "OAUTHBEARER" || can(p["sasl.login.callback.handler.class"]) ? null :
          "${local.security}.oauthbearer.OAuthBearerLoginCallbackHandler"
        )
        "ssl.endpoint.identification.algorithm" = try(p["ssl.endpoint.identification.algorithm"], "") == "none" ? "" : null
      } : key => value if value != null },
      local.login[alias],
    )
  }

  # The config providers that the references in them need.
  used = {
    for alias, p in local.given : alias => [
      for provider, prefix in { dir = "file:", env = "env:" } : provider if anytrue([
        anytrue([for key, value in p : can(regex("^(?s:${prefix}.)", value)) if !can(regex(local.python_only, key)) || key == "ssl.ca.pem" && can(local.translated[alias]["ssl.truststore.certificates"]) && !can(p["ssl.truststore.certificates"])]),
        anytrue([for field in local.login_fields[alias] : field.reference && can(regex("^\\$\\{${provider}:", field.value))]),
        provider == "dir" && !can(p["ssl.keystore.location"]) && try(p["ssl.key.location"] != p["ssl.certificate.location"], false),
      ])
    ]
  }

  options = {
    for alias, properties in local.translated : alias => merge(
      properties,
      { for key in ["config.providers"] : key => join(",", local.used[alias]) if length(local.used[alias]) > 0 },
      { for provider in local.used[alias] : "config.providers.${provider}.class" => local.config_providers[provider] },
    )
  }

  fragments = {
    for alias, properties in local.options : alias => join(",\n  ", [
      for key, value in properties : "'properties.${replace(key, "'", "''")}' = '${replace(value, "'", "''")}'"
    ])
  }

  registries = {
    for alias, properties in var.kafka : alias => "'${replace(properties["schema.registry.url"], "'", "''")}'" if can(properties["schema.registry.url"])
  }

  values = merge(
    var.args,
    { kafka = local.fragments, registry = local.registries },
    { for name, value in { functions = var.functions } : name => value if value != null },
  )
}
