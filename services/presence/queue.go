package presence

import "slices"

// queue holds names in the order in which they came, each once. It is as long as there are people at most.
type queue struct {
	names  []string
	forced map[string]bool // of the names in it
}

func newQueue() *queue { return &queue{forced: make(map[string]bool)} }

// put adds a name, unless it waits already.
func (q *queue) put(name string) {
	if _, ok := q.forced[name]; !ok {
		q.forced[name] = false
		q.names = append(q.names, name)
	}
}

// force is put for a name that is to be told whatever it looks like.
func (q *queue) force(name string) {
	q.put(name)
	q.forced[name] = true
}

// putBack gives names that were taken, and could not be told, the places back that they had: before all others. They are
// told whatever they look like then.
func (q *queue) putBack(names []string) {
	back := make(map[string]bool, len(names))
	for _, name := range names {
		back[name] = true
		q.forced[name] = true
	}
	again := func(name string) bool { return back[name] } // came again meanwhile
	q.names = slices.Concat(names, slices.DeleteFunc(q.names, again))
}

// pop takes the name that waited longest.
func (q *queue) pop() (name string, forced, ok bool) {
	if len(q.names) == 0 {
		return "", false, false
	}
	name = q.names[0]
	if q.names = q.names[1:]; len(q.names) == 0 {
		q.names = nil // so that what a storm took is given back
		forced = q.forced[name]
		q.forced = make(map[string]bool)
		return name, forced, true
	}
	forced = q.forced[name]
	delete(q.forced, name)
	return name, forced, true
}

// has reports whether a name waits.
func (q *queue) has(name string) bool {
	_, ok := q.forced[name]
	return ok
}

func (q *queue) len() int { return len(q.names) }
