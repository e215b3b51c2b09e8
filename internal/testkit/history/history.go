// Package history checks the promise of the chat: an acknowledged message is never lost, never doubled and never reordered
// within its conversation, and a device sees each message once and in order.
//
// Clients of a test write down what they did in a [Log]; [Check] holds it to what is stored in the end. The package knows
// nothing of how messages travel.
//
// What must never happen here: a fault that is explained away. What the server may do is in the contract, and everything
// else is reported.
package history

import (
	"fmt"
	"hash/fnv"
	"sync"
)

// Place is where a message stands in its conversation.
type Place struct {
	Epoch, Seq int64
}

func (p Place) less(q Place) bool {
	return p.Epoch < q.Epoch || (p.Epoch == q.Epoch && p.Seq < q.Seq)
}

// String returns "epoch/seq".
func (p Place) String() string { return fmt.Sprintf("%d/%d", p.Epoch, p.Seq) }

// Message is a message as somebody has it: its sender, the store or a device.
type Message struct {
	Sender  string
	ID      string // client_msg_id, unique among the sender's
	Place   Place  // zero before it is acknowledged
	Content uint64 // Digest of what it says
}

// Digest stands for the encoded content of a message in a log; 0 is nothing.
func Digest(content []byte) uint64 {
	if len(content) == 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write(content) // a hash takes all
	return max(h.Sum64(), 1)
}

// act is one thing that a client did.
type act struct {
	kind         kind
	conversation string
	device       string // of received
	message      Message
}

type kind uint8

const (
	sent kind = iota
	acked
	received
	complete
	from
)

// Log is what the clients of a test did, in the order in which they did it. Its methods may be called by many goroutines;
// one client calls them in the order of its own doings.
type Log struct {
	mu   sync.Mutex
	acts []act
}

func (l *Log) add(a act) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts = append(l.acts, a)
}

// Sent says that a sender is about to send a message for the first time.
func (l *Log) Sent(conversation string, m Message) {
	l.add(act{kind: sent, conversation: conversation, message: m})
}

// Acked says that the server has acknowledged a message, which is as its answer has it.
func (l *Log) Acked(conversation string, m Message) {
	l.add(act{kind: acked, conversation: conversation, message: m})
}

// Received says that a device was shown a message.
func (l *Log) Received(device, conversation string, m Message) {
	l.add(act{kind: received, conversation: conversation, device: device, message: m})
}

// Complete says that a device must have been shown everything up to the last stored message.
func (l *Log) Complete(device, conversation string) {
	l.add(act{kind: complete, conversation: conversation, device: device})
}

// From says that a device must have been shown everything from a place on, as far as it was shown anything: with Complete,
// all of it up to the last stored message.
func (l *Log) From(device, conversation string, place Place) {
	l.add(act{kind: from, conversation: conversation, device: device, message: Message{Place: place}})
}

// Counts says how much of what a log holds.
type Counts struct {
	Sent, Acked, Received int
}

// Counts counts.
func (l *Log) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	var c Counts
	for _, a := range l.acts {
		switch a.kind {
		case sent:
			c.Sent++
		case acked:
			c.Acked++
		case received:
			c.Received++
		default:
		}
	}
	return c
}

// FaultKind is a way to break the promise.
type FaultKind string

// The ways.
const (
	// AckedLost: an acknowledged message is not stored, or not where the acknowledgement said.
	AckedLost FaultKind = "acked and lost"
	// OtherContent: a message is stored, acknowledged or shown with nothing in it, or with what its sender did not say.
	OtherContent FaultKind = "says something else"
	// Doubled: a message is stored twice, or was acknowledged at two places.
	Doubled FaultKind = "doubled"
	// Gap: a number is missing among the stored messages.
	Gap FaultKind = "gap"
	// SameSeq: two stored messages have one number.
	SameSeq FaultKind = "two of one number"
	// Invented: a message is stored that nobody sent.
	Invented FaultKind = "never sent"
	// SenderOrder: a message stands before one that its sender had the acknowledgement of before sending it.
	SenderOrder FaultKind = "sender's order broken"
	// DeviceOrder: a device was shown a message after a later one.
	DeviceOrder FaultKind = "out of order on a device"
	// DeviceDoubled: a device was shown a message again.
	DeviceDoubled FaultKind = "doubled on a device"
	// DeviceMissed: a device was not shown a message between two others, or the last one of a complete device, or the first
	// ones from where it must begin.
	DeviceMissed FaultKind = "missed by a device"
	// NeverStored: a device was shown what is not stored, or not there.
	NeverStored FaultKind = "received and never stored"
)

// Fault is one broken promise.
type Fault struct {
	Kind         FaultKind
	Conversation string
	Detail       string // for people
}

// String is for people.
func (f Fault) String() string { return string(f.Kind) + " in " + f.Conversation + ": " + f.Detail }
