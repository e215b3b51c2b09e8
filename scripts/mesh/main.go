// Mesh starts a whole mesh on this machine: Consul, Pulsar and PostgreSQL, the services in processes of their own, two edges,
// and an Envoy in front, with the demo channel on the air. Everything ends with it, and its data goes.
//
//	go run ./scripts/mesh -stoa bin/stoa
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stoa-live/stoa/gateway/xds"
	"github.com/stoa-live/stoa/internal/parts"
)

// process is one of the mesh.
type process struct {
	name     string
	services string
	env      []string
}

// processes are the shape of the mesh. Ports count from those of Envoy and of one process, so that clients find what they know.
func processes(host string) []process {
	edge := func(n int) process {
		address := net.JoinHostPort(host, strconv.Itoa(8090+n))
		return process{"edge-" + strconv.Itoa(n), "edge", []string{
			"STOA_HTTP_ADDR=0.0.0.0:" + strconv.Itoa(8090+n), "STOA_EDGE_ADDR=:" + strconv.Itoa(7700+n-1), "STOA_EDGE_PUBLIC_URL=ws://" + address + "/edge/v1",
		}}
	}
	return []process{
		{"people", "auth,presence,admin", nil},
		{"chat", "chat", nil},
		{"live", "live", []string{"STOA_RTMP_ADDR=:1935"}},
		edge(1), edge(2),
		{"web", "gateway", []string{"STOA_HTTP_ADDR=127.0.0.1:8089"}},
	}
}

const (
	clients = "0.0.0.0:8080"   // where Envoy listens
	ask     = "127.0.0.1:7500" // where Envoy asks
	web     = "127.0.0.1:8089"
)

func main() {
	stoa := flag.String("stoa", "bin/stoa", "path of the binary")
	host := flag.String("host", "localhost", "name by which clients reach this machine")
	demo := flag.Bool("demo", true, "put a channel on the air")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *stoa, *host, *demo); err != nil {
		fmt.Fprintln(os.Stderr, "mesh:", err)
		os.Exit(1) //nolint:gocritic // all has ended
	}
}

func run(ctx context.Context, stoa, host string, demo bool) (err error) {
	folder, err := os.MkdirTemp("", "stoa-mesh-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	fmt.Println("starting Consul, Pulsar and PostgreSQL ...")
	running, err := parts.Start(ctx, folder, "consul", "pulsar", "postgres")
	if err != nil {
		return err
	}
	urls := make(map[string]string)
	for _, r := range running {
		defer func() { err = errors.Join(err, r.Stop()) }()
		urls[r.Name] = r.URL
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it does not fail
	env := append(os.Environ(),
		"STOA_REGISTRY="+urls["consul"], "STOA_BUS="+urls["pulsar"], "STOA_STORE="+urls["postgres"],
		"STOA_SERVICE_KEY="+base64.StdEncoding.EncodeToString(key), "STOA_LOG_LEVEL=warn", "STOA_RTMP_ADDR=127.0.0.1:0",
		"STOA_LIVE_PLAYBACK_URL=http://"+host+":8080", "STOA_LIVE_RTMP_URL=rtmp://"+host+":1935/live")
	ended := make(chan string, 16)
	var children []*exec.Cmd
	var living sync.WaitGroup
	defer func() { // before the parts, which they need to end well
		for _, cmd := range children {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
		late := time.AfterFunc(20*time.Second, func() {
			for _, cmd := range children {
				_ = cmd.Process.Kill()
			}
		})
		living.Wait()
		late.Stop()
	}()
	start := func(name string, env []string, args ...string) error {
		cmd := exec.Command(stoa, args...) //nolint:gosec // what it is for
		cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdout, os.Stderr, env
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		children = append(children, cmd)
		living.Go(func() {
			_ = cmd.Wait() // it says itself why it ended
			ended <- name
		})
		return nil
	}
	for _, p := range processes(host) {
		data := filepath.Join(folder, p.name)
		port, err := parts.FreePort()
		if err != nil {
			return err
		}
		own := append(append([]string{}, env...),
			"STOA_NODE="+p.name, "STOA_SERVICES="+p.services, "STOA_DATA_DIR="+data, "STOA_INTERNAL_ADDR=127.0.0.1:"+port,
			"STOA_HTTP_ADDR=127.0.0.1:0", "STOA_EDGE_ADDR=127.0.0.1:0")
		if err := start(p.name, append(own, p.env...), "serve"); err != nil {
			return err
		}
	}
	if err := start("xds", append(env, "STOA_RATE_LIMIT=100"), "xds", "--addr", ask, "--listen", clients, "--web", web); err != nil {
		return err
	}
	envoy, err := parts.Envoy(ctx, folder, ask, "envoy-1", xds.NodeCluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, envoy.Stop()) }()
	url := "http://" + host + ":8080"
	if err := answers(ctx, url); err != nil {
		return err
	}
	fmt.Printf("\n  The mesh is up, behind Envoy at %s; Envoy's own figures are at %s, Consul's page at %s/ui\n\n", url, envoy.URL, strings.Replace(urls["consul"], "consul", "http", 1))
	if demo {
		if err := start("demo", env, "demo", "--server", url); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case name := <-ended:
		return fmt.Errorf("%s has ended", name)
	}
}

// answers waits until rooms can be listed through the front: all that is behind them is there then.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/stoa.live.v1.LiveService/ListRooms", strings.NewReader("{}"))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the mesh does not answer at %s: %w", url, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
