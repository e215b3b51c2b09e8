package balance

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sort"
)

// view is what calls choose from. It is never changed.
type view struct {
	all  group // all that are not ejected
	near group // of those, the ones of the caller's zone, empty where they are too few
}

// group is members that are drawn by weight.
type group struct {
	members []*member
	sums    []int // of the weights up to each; nil where all are equal
}

func newGroup(members []*member) group {
	g := group{members: members}
	even, sum := true, 0
	for _, m := range members {
		sum += m.Weight
		g.sums = append(g.sums, sum)
		even = even && m.Weight == members[0].Weight
	}
	if even {
		g.sums = nil
	}
	return g
}

func newView(members map[Instance]*member, zone string) *view {
	var all, near []*member
	total, zones := 0, make(map[string]bool)
	for _, m := range members {
		total += m.Weight
		zones[m.Zone] = true
		if !m.ejected {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(x, y *member) int { return cmp.Compare(x.ID, y.ID) })
	usable := 0
	for _, m := range all {
		if m.Zone == zone {
			near = append(near, m)
			usable += m.Weight
		}
	}
	v := &view{all: newGroup(all)}
	// Enough is half of what a zone has on average: fewer would carry too much for those who prefer them.
	if zone != "" && len(near) > 0 && 2*usable*len(zones) >= total {
		v.near = newGroup(near)
	}
	return v
}

// pick returns the member for the next attempt, none of those that were tried; nil if there is none.
func (v *view) pick(tried []*member) *member {
	for _, g := range []*group{&v.near, &v.all} {
		if len(tried) == 0 {
			if m := g.pick(); m != nil {
				return m
			}
			continue
		}
		var best *member
		start := 0
		if len(g.members) > 0 {
			start = rand.IntN(len(g.members))
		}
		for i := range g.members {
			m := g.members[(start+i)%len(g.members)]
			if !slices.Contains(tried, m) && (best == nil || lighter(m, best)) {
				best = m
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// others reports whether there is a member that was not tried.
func (v *view) others(tried []*member) bool {
	return len(v.all.members) > len(tried) ||
		slices.ContainsFunc(v.all.members, func(m *member) bool { return !slices.Contains(tried, m) })
}

// pick draws two members and returns the less loaded one, the first of them if they are equal.
func (g *group) pick() *member {
	switch len(g.members) {
	case 0:
		return nil
	case 1:
		return g.members[0]
	}
	first := g.draw()
	second := g.draw()
	for range 3 {
		if second != first {
			break
		}
		second = g.draw()
	}
	if second == first {
		second = (first + 1) % len(g.members)
	}
	if lighter(g.members[second], g.members[first]) {
		return g.members[second]
	}
	return g.members[first]
}

func (g *group) draw() int {
	if g.sums == nil {
		return rand.IntN(len(g.members)) //nolint:gosec // no secret
	}
	at := rand.IntN(g.sums[len(g.sums)-1]) //nolint:gosec // no secret
	return sort.SearchInts(g.sums, at+1)
}

// lighter reports whether a has less to do than b for its weight. Equals are as they were drawn, by weight.
func lighter(a, b *member) bool {
	return a.inflight.Load()*int64(b.Weight) < b.inflight.Load()*int64(a.Weight)
}
