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
	"time"
	"unicode/utf8"
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

// table is one scenario's figures for people, in Markdown, as docs/benchmarks.md has them.
type table struct {
	title, note string
	rows        [][]string // the first holds the names of the columns
	out         io.Writer
}

func (r *report) table(title, note string, columns ...string) *table {
	return &table{title: title, note: note, rows: [][]string{columns}, out: r.out}
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print() error {
	widths := make([]int, len(t.rows[0]))
	figures := make([]bool, len(t.rows[0])) // columns that are aligned at their right
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
			figures[i] = i > 0 && isFigure(cell) // as the last row has it
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s.\n\n", t.title, t.note)
	for n, row := range t.rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if figures[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			fmt.Fprintf(&b, "| %s ", cell)
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, width := range widths {
			end := "-"
			if figures[i] {
				end = ":"
			}
			fmt.Fprintf(&b, "| %s%s ", strings.Repeat("-", width-1), end)
		}
		b.WriteString("|\n")
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// isFigure reports whether a cell begins like a number, or stands for none.
func isFigure(cell string) bool {
	return cell != "" && (cell == "-" || cell[0] >= '0' && cell[0] <= '9')
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ms(n float64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", n)
}

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
