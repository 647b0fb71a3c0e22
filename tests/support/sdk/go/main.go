// Command sdk-server-go answers each request with the contexts that OpenTelemetry's Go SDK reads from its headers, with each
// propagator alone, as JSON. It prints `listening PORT` once it listens, and exits when its standard input is closed.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"

	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

type spanContext struct {
	TraceID    string  `json:"traceId"`
	SpanID     string  `json:"spanId"`
	TraceFlags byte    `json:"traceFlags"`
	TraceState *string `json:"traceState"`
	IsRemote   bool    `json:"isRemote"`
}

type contexts struct {
	TraceContext *spanContext `json:"tracecontext"`
	B3           *spanContext `json:"b3"`
	B3Multi      *spanContext `json:"b3multi"`
	Jaeger       *spanContext `json:"jaeger"`
	Baggage      [][2]string  `json:"baggage"`
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, http.HandlerFunc(answer)))
}

func answer(response http.ResponseWriter, request *http.Request) {
	headers := request.Header
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(contexts{
		TraceContext: read(propagation.TraceContext{}, headers),
		// The B3 propagator reads both encodings, so each call gets only the headers of one.
		B3:      read(b3.New(), only(headers, func(name string) bool { return name == "B3" })),
		B3Multi: read(b3.New(), only(headers, func(name string) bool { return strings.HasPrefix(name, "X-B3-") })),
		Jaeger:  read(jaeger.Jaeger{}, headers),
		Baggage: entries(headers),
	})
}

func read(propagator propagation.TextMapPropagator, headers http.Header) *spanContext {
	ctx := propagator.Extract(context.Background(), propagation.HeaderCarrier(headers))
	found := trace.SpanContextFromContext(ctx)
	if !found.IsValid() {
		return nil
	}
	result := &spanContext{
		TraceID:    found.TraceID().String(),
		SpanID:     found.SpanID().String(),
		TraceFlags: byte(found.TraceFlags()),
		IsRemote:   found.IsRemote(),
	}
	if state := found.TraceState().String(); state != "" {
		result.TraceState = &state
	}
	return result
}

func entries(headers http.Header) [][2]string {
	ctx := propagation.Baggage{}.Extract(context.Background(), propagation.HeaderCarrier(headers))
	found := [][2]string{}
	for _, member := range baggage.FromContext(ctx).Members() {
		found = append(found, [2]string{member.Key(), member.Value()})
	}
	sort.Slice(found, func(i, j int) bool { return found[i][0] < found[j][0] })
	return found
}

func only(headers http.Header, wanted func(string) bool) http.Header {
	kept := http.Header{}
	for name, values := range headers {
		if wanted(name) {
			kept[name] = values
		}
	}
	return kept
}
