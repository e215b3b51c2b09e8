package history

import (
	"fmt"
	"maps"
	"slices"
)

// name is what tells messages of a conversation apart, wherever they stand.
type name struct {
	sender, id string
}

func (m Message) name() name { return name{m.Sender, m.ID} }

// String is for people.
func (m Message) String() string { return fmt.Sprintf("%s of %s at %v", m.ID, m.Sender, m.Place) }

// Check returns how a log and what is stored break the promise. stored holds the whole history of each conversation, in the
// order in which the server tells it.
func Check(l *Log, stored map[string][]Message) []Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	conversations := make(map[string]*conversation)
	of := func(id string) *conversation {
		c := conversations[id]
		if c == nil {
			c = newConversation(id)
			conversations[id] = c
		}
		return c
	}
	for id, messages := range stored {
		of(id).store(messages)
	}
	for _, a := range l.acts {
		of(a.conversation).take(a)
	}
	var faults []Fault
	for _, id := range slices.Sorted(maps.Keys(conversations)) {
		c := conversations[id]
		c.finish()
		c.beginnings()
		faults = append(faults, c.faults...)
	}
	return faults
}

// conversation is what is known of one.
type conversation struct {
	id      string
	byPlace map[Place]Message
	byName  map[name]Message // each, at its first place
	last    Place            // the last message's; zero when there is none
	lasts   map[int64]int64

	sent    map[name]uint64 // what each says
	acked   map[name]Place
	highest map[string]Place          // acknowledged place of each sender so far
	floor   map[name]Place            // what a message must stand after
	begins  map[string]Place          // where each device must begin
	firsts  map[string]Place          // the first message that each was shown
	devices map[string]Place          // the last message of each
	seen    map[string]map[Place]bool // by each
	faults  []Fault
}

func newConversation(id string) *conversation {
	return &conversation{
		id: id, byPlace: make(map[Place]Message), byName: make(map[name]Message), lasts: make(map[int64]int64),
		sent: make(map[name]uint64), acked: make(map[name]Place), highest: make(map[string]Place),
		floor: make(map[name]Place), begins: make(map[string]Place), firsts: make(map[string]Place),
		devices: make(map[string]Place), seen: make(map[string]map[Place]bool),
	}
}

func (c *conversation) fault(kind FaultKind, format string, args ...any) {
	c.faults = append(c.faults, Fault{Kind: kind, Conversation: c.id, Detail: fmt.Sprintf(format, args...)})
}

// store takes in a history and looks at it for itself.
func (c *conversation) store(messages []Message) {
	for _, m := range messages {
		if other, ok := c.byPlace[m.Place]; ok {
			c.fault(SameSeq, "%v and %v", other, m)
		} else {
			c.byPlace[m.Place] = m
		}
		if first, ok := c.byName[m.name()]; ok {
			c.fault(Doubled, "%v is also at %v", m, first.Place)
		} else {
			c.byName[m.name()] = m
		}
		if c.last.less(m.Place) {
			c.last = m.Place
		}
		c.lasts[m.Place.Epoch] = max(c.lasts[m.Place.Epoch], m.Place.Seq)
	}
	for epoch, last := range c.lasts {
		for seq := int64(1); seq < last; seq++ {
			if _, ok := c.byPlace[Place{epoch, seq}]; !ok {
				c.fault(Gap, "there is no %v below %d", Place{epoch, seq}, last)
			}
		}
	}
}

// take takes in what a client did next.
func (c *conversation) take(a act) {
	m := a.message
	switch a.kind {
	case sent:
		c.sent[m.name()] = m.Content
		c.floor[m.name()] = c.highest[m.Sender]
	case acked:
		if before, ok := c.acked[m.name()]; ok && before != m.Place {
			c.fault(Doubled, "%v was also acknowledged at %v", m, before)
		}
		c.acked[m.name()] = m.Place
		if c.highest[m.Sender].less(m.Place) {
			c.highest[m.Sender] = m.Place
		}
		if stored, ok := c.byPlace[m.Place]; !ok || stored.name() != m.name() {
			c.fault(AckedLost, "%v; %s", m, c.whereabouts(m))
		}
		c.says("acknowledged", m)
	case received:
		c.receive(a.device, m)
	case complete:
		if at := c.devices[a.device]; at.less(c.last) {
			c.fault(DeviceMissed, "%s ended at %v, the last one is %v", a.device, at, c.last)
		}
	case from:
		c.begins[a.device] = m.Place
	}
}

// says holds what somebody has of a message to what its sender said.
func (c *conversation) says(where string, m Message) {
	if said, ok := c.sent[m.name()]; ok && (m.Content != said || said == 0) {
		c.fault(OtherContent, "%v was sent as %x and is %s as %x", m, said, where, m.Content)
	}
}

// whereabouts says where a message is, and what is in its place.
func (c *conversation) whereabouts(m Message) string {
	text := "it is nowhere"
	if stored, ok := c.byName[m.name()]; ok {
		text = "it is at " + stored.Place.String()
	}
	if other, ok := c.byPlace[m.Place]; ok {
		text += ", there is " + other.ID + " of " + other.Sender
	}
	return text
}

func (c *conversation) receive(device string, m Message) {
	if stored, ok := c.byPlace[m.Place]; !ok || stored.name() != m.name() {
		c.fault(NeverStored, "%s was shown %v; %s", device, m, c.whereabouts(m))
	}
	c.says("shown to "+device, m)
	seen := c.seen[device]
	if seen == nil {
		seen = make(map[Place]bool)
		c.seen[device] = seen
	}
	last, any := c.devices[device]
	switch {
	case seen[m.Place]:
		c.fault(DeviceDoubled, "%s was shown %v again", device, m)
	case any && m.Place.less(last):
		c.fault(DeviceOrder, "%s was shown %v after %v", device, m, last)
	case any && m.Place.Epoch == last.Epoch && m.Place.Seq > last.Seq+1:
		c.fault(DeviceMissed, "%s was shown %v right after %v", device, m, last)
	}
	seen[m.Place] = true
	if !any {
		c.firsts[device] = m.Place
	}
	if last.less(m.Place) {
		c.devices[device] = m.Place
	}
}

// beginnings holds where devices began to where they must.
func (c *conversation) beginnings() {
	for _, device := range slices.Sorted(maps.Keys(c.begins)) {
		first, any := c.firsts[device]
		if begin := c.begins[device]; any && begin.less(first) {
			c.fault(DeviceMissed, "%s was first shown the one at %v, and must begin at %v", device, first, begin)
		}
	}
}

// finish holds what is stored to what was sent.
func (c *conversation) finish() {
	for n, m := range c.byName {
		if _, ok := c.sent[n]; !ok {
			c.fault(Invented, "%v", m)
			continue
		}
		if floor := c.floor[n]; !floor.less(m.Place) {
			c.fault(SenderOrder, "%v was sent after the one at %v was acknowledged", m, floor)
		}
		c.says("stored", m)
	}
}
