package bus

import "testing"

// What is in the partitions of a running mesh is where these say: they may never change.
func TestPartitionsStay(t *testing.T) {
	for key, want := range map[string][2]int{"": {1, 5}, "a": {0, 44}, "foobar": {0, 40}, "会话": {3, 47}} {
		if got := [2]int{partition(key, 4), partition(key, 64)}; got != want {
			t.Errorf("%q is in %v of 4 and 64, not in %v", key, got, want)
		}
	}
}
