// Command node is the part of a kubelet that port-forwards pass through: the kubelet's own streaming
// server. It starts no container. A pod of this node is a set of processes on this machine, as a pod
// with host networking is, so a port of the pod is that port of loopback.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

var protocols = []string{"v2.portforward.k8s.io", "portforward.k8s.io"}

type loopback struct{}

func (loopback) PortForward(_ context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("pod %s: %w", name, err)
	}
	defer connection.Close()
	done := make(chan struct{}, 2)
	go func() {
		io.Copy(connection, stream)
		connection.(*net.TCPConn).CloseWrite()
		done <- struct{}{}
	}()
	go func() {
		io.Copy(stream, connection)
		done <- struct{}{}
	}()
	<-done
	return nil
}

func forward(w http.ResponseWriter, request *http.Request) {
	options, err := portforward.NewV4Options(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, request, loopback{}, request.PathValue("pod"), "", options,
		4*time.Hour, 30*time.Second, protocols)
}

func main() {
	port := flag.Int("port", 0, "the port of loopback to listen on")
	flag.Parse()
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{pod}", forward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", forward)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	server := &http.Server{
		Addr:    fmt.Sprintf("127.0.0.1:%d", *port),
		Handler: mux,
		// SPDY takes the connection over, which HTTP/2 does not let it do.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	log.Fatal(server.ListenAndServeTLS("", ""))
}
