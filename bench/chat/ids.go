package main

import (
	"crypto/rand"
	"fmt"
	"time"
)

// ids makes identifiers that grow with time, as the contract wishes for client_msg_id, each with a random head of its own
// behind the time of the start.
type ids struct {
	prefix string
	n      uint64
}

func newIDs() *ids {
	return &ids{prefix: fmt.Sprintf("%012x%s", time.Now().UnixMilli(), rand.Text()[:6])}
}

func (i *ids) next() string {
	i.n++
	return fmt.Sprintf("%s%08x", i.prefix, i.n)
}
