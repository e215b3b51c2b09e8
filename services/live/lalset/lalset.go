// Package lalset holds the process-wide settings of lal, which keeps its logger and its HLS file names in package
// variables. Nothing else may touch those variables.
package lalset

import (
	"crypto/rand"
	"sync"

	"github.com/q191201771/lal/pkg/hls"
	"github.com/q191201771/naza/pkg/nazalog"
)

var once sync.Once

// Apply silences lal's logger, which prints payloads, and gives HLS segments names that cannot be guessed. It acts once
// a process, before the first use of lal.
func Apply() {
	once.Do(func() {
		_ = nazalog.Init(func(o *nazalog.Option) {
			o.Level = nazalog.LevelLogNothing
			o.IsToStdout = false
			o.AssertBehavior = nazalog.AssertError
		})
		hls.PathStrategy = randomNames{&hls.DefaultPathStrategy{}}
	})
}

// randomNames names each segment by 130 random bits.
type randomNames struct{ hls.IPathStrategy }

// GetTsFileName is called once a segment.
func (randomNames) GetTsFileName(string, int, int) string { return rand.Text() + ".ts" }
