package testkit

import (
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// AssertNoLeaks does, and fails the test unless all goroutines have ended soon that began meanwhile.
func AssertNoLeaks(t testing.TB, do func()) {
	t.Helper()
	before := goroutines()
	do()
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = left[:0]
		for id, stack := range goroutines() {
			if before[id] == "" {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
}

var header = regexp.MustCompile(`^goroutine (\d+)`)

// goroutines returns the stack of each by its id.
func goroutines() map[string]string {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	all := make(map[string]string)
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if id := header.FindStringSubmatch(stack); id != nil {
			all[id[1]] = stack
		}
	}
	return all
}
