package chat

import (
	"container/list"
	"sync"
)

// lru is a map that holds at most limit entries and forgets the one that was asked for the longest time ago. It is safe
// for concurrent use.
type lru[V any] struct {
	limit int

	mu      sync.Mutex
	entries map[string]*list.Element
	order   *list.List // latest first; its values are *lruEntry[V]
}

type lruEntry[V any] struct {
	key   string
	value V
}

func newLRU[V any](limit int) *lru[V] {
	return &lru[V]{limit: limit, entries: make(map[string]*list.Element), order: list.New()}
}

func (l *lru[V]) get(key string) (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries[key]
	if !ok {
		var none V
		return none, false
	}
	l.order.MoveToFront(e)
	return entryOf[V](e).value, true
}

// getOrPut returns what key has, or gives it what make returns.
func (l *lru[V]) getOrPut(key string, make func() V) V {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[key]; ok {
		l.order.MoveToFront(e)
		return entryOf[V](e).value
	}
	value := make()
	l.add(key, value)
	return value
}

func (l *lru[V]) put(key string, value V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[key]; ok {
		l.order.MoveToFront(e)
		entryOf[V](e).value = value
		return
	}
	l.add(key, value)
}

func (l *lru[V]) drop(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[key]; ok {
		l.order.Remove(e)
		delete(l.entries, key)
	}
}

func (l *lru[V]) add(key string, value V) {
	l.entries[key] = l.order.PushFront(&lruEntry[V]{key: key, value: value})
	if len(l.entries) > l.limit {
		last := l.order.Back()
		l.order.Remove(last)
		delete(l.entries, entryOf[V](last).key)
	}
}

func entryOf[V any](e *list.Element) *lruEntry[V] {
	entry, _ := e.Value.(*lruEntry[V])
	return entry
}

// putIf puts a value unless there is one that it may not replace.
func (l *lru[V]) putIf(key string, value V, replaces func(old V) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries[key]; ok {
		if replaces(entryOf[V](e).value) {
			entryOf[V](e).value = value
		}
		return
	}
	l.add(key, value)
}
