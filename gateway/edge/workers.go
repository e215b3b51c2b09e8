package edge

import "time"

// workerRest is how long a worker waits for more work before it ends.
const workerRest = 5 * time.Second

// hand has act run by a worker: one that rests, or a new one. What calls need of stack is grown once a worker instead of
// once a call. It returns false after the edge has stopped.
func (e *Edge) hand(act func()) bool {
	select {
	case e.work <- act:
		return true
	default:
		return e.begin(func() { e.worker(act) })
	}
}

func (e *Edge) worker(act func()) {
	rest := time.NewTimer(workerRest)
	defer rest.Stop()
	for {
		act()
		rest.Reset(workerRest)
		select {
		case act = <-e.work:
		case <-rest.C:
			return
		case <-e.stopping.Done():
			return
		}
	}
}
