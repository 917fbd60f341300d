//go:build tools

// Package cluster names what a test cluster is made of, so that one lock holds all of it.
package cluster

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
