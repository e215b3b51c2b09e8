package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints tables as they are done and keeps the figures for the JSON file.
type report struct {
	Machine string           `json:"machine"`
	Started time.Time        `json:"started"`
	Results map[string][]any `json:"results"`
	out     io.Writer
}

func newReport(out io.Writer) *report {
	return &report{
		Machine: fmt.Sprintf("%s/%s, %d processors, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Started: time.Now().UTC(), Results: map[string][]any{}, out: out,
	}
}

func (r *report) progress(format string, args ...any) { log.Printf(format, args...) }

func (r *report) result(scenario string, row any) {
	r.Results[scenario] = append(r.Results[scenario], row)
}

// save writes the figures; an empty path writes none.
func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// table is one scenario's figures for people.
type table struct {
	title, note string
	tabs        *tabwriter.Writer
	text        strings.Builder
	out         io.Writer
}

func (r *report) table(title, note string, columns ...string) *table {
	t := &table{title: title, note: note, out: r.out}
	t.tabs = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', tabwriter.AlignRight)
	t.row(columns...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.tabs, strings.Join(cells, "\t")+"\t") }

func (t *table) print() error {
	if err := t.tabs.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.out, "\n%s: %s\n%s", t.title, t.note, t.text.String())
	return err
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ms(n float64) string { return fmt.Sprintf("%.1f ms", n) }

func cores(n float64) string { return fmt.Sprintf("%.2f", n) }

func ratio(n float64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", n)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
