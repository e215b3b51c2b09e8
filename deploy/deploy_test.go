// Package deploy_test holds what operators are given to what the code has.
package deploy_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-live/stoa/internal/config"
)

var (
	metric  = regexp.MustCompile(`\bstoa_[a-z_]+`)
	setting = regexp.MustCompile(`\bSTOA_[A-Z_]+`)
	quoted  = regexp.MustCompile(`"(stoa_[a-z_]+)"`)
)

// declared lists the metrics that the code has.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, root := range []string{"../internal", "../gateway", "../services"} {
		if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path) //nolint:gosec // our own
			for _, name := range quoted.FindAllSubmatch(source, -1) {
				names[string(name[1])] = true
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// TestMetricsExist that a dashboard or an alert asks for.
func TestMetricsExist(t *testing.T) {
	known := declared(t)
	if len(known) < 30 {
		t.Fatalf("found only %d metrics in the code", len(known))
	}
	for _, file := range []string{"grafana/stoa.json", "prometheus/alerts.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		used := metric.FindAllString(string(text), -1)
		if len(used) == 0 {
			t.Errorf("%s asks for no metric", file)
		}
		for _, name := range used {
			plain := name
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				plain = strings.TrimSuffix(plain, part)
			}
			distribution := strings.HasSuffix(plain, "_seconds") || plain == "stoa_chat_batch_changes"
			if !known[name] && !(known[plain] && distribution) {
				t.Errorf("%s asks for %s, which nothing counts", file, name)
			}
		}
	}
}

// TestSettingsExist that a manifest makes.
func TestSettingsExist(t *testing.T) {
	known := make(map[string]bool)
	for field := range reflect.TypeFor[config.Serve]().Fields() {
		known[field.Tag.Get("env")] = true
	}
	for _, file := range []string{"Dockerfile", "compose.yaml", "systemd/stoa.service", "kubernetes/stoa.yaml", "prometheus/prometheus.yml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range setting.FindAllString(string(text), -1) {
			if !known[name] {
				t.Errorf("%s makes %s, which is no setting", file, name)
			}
		}
	}
}

// TestTheDashboardIsOne that Grafana can read: JSON, with panels that ask something and do not lie on each other.
func TestTheDashboardIsOne(t *testing.T) {
	raw, err := os.ReadFile("grafana/stoa.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID    string
		Panels []struct {
			Title, Type string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	taken := make(map[[2]int]string)
	for _, p := range d.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			if strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") || strings.Count(target.Expr, "{") != strings.Count(target.Expr, "}") {
				t.Errorf("%s: %s", p.Title, target.Expr)
			}
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" || at[0] >= 24 {
					t.Errorf("%s lies on %s", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
	}
	if d.UID == "" || len(d.Panels) < 10 {
		t.Errorf("%d panels", len(d.Panels))
	}
}
