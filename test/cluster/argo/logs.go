package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// The part of a kubelet's own API that the API server asks for logs: /containerLogs/NAMESPACE/POD/CONTAINER.
type logs struct {
	texts sync.Map
}

func (l *logs) keep(pod *corev1.Pod, text string) {
	if text != "" {
		l.texts.Store(pod.Namespace+"/"+pod.Name, text)
	}
}

// Listens until the context ends, by TLS, whose certificate the API server does not check unless told to.
func (l *logs) serve(ctx context.Context) int32 {
	server := httptest.NewUnstartedServer(http.HandlerFunc(l.answer))
	server.StartTLS()
	context.AfterFunc(ctx, server.CloseClientConnections)
	return int32(server.Listener.Addr().(*net.TCPAddr).Port)
}

func (l *logs) answer(writer http.ResponseWriter, request *http.Request) {
	parts := strings.Split(request.URL.Path, "/")
	if len(parts) != 5 || parts[1] != "containerLogs" {
		http.NotFound(writer, request)
		return
	}
	text, _ := l.texts.Load(parts[2] + "/" + parts[3])
	lines, _ := text.(string)
	_, _ = writer.Write([]byte(lines))
}
