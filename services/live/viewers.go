package live

import "sync"

// viewers knows how many people are in each conversation, as presence tells it.
type viewers struct {
	mu     sync.RWMutex
	counts map[string]int
}

func newViewers() *viewers { return &viewers{counts: make(map[string]int)} }

func (v *viewers) set(conversationID string, count int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if count <= 0 {
		delete(v.counts, conversationID)
		return
	}
	v.counts[conversationID] = count
}

func (v *viewers) count(conversationID string) int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.counts[conversationID]
}
