//go:build tools

// Package crds names the Prometheus operator's types, of which its CRDs are made.
package crds

import _ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
