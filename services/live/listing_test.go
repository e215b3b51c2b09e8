package live_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/live/v1/livev1connect"
	presencev1 "github.com/stoa-live/stoa/gen/go/stoa/presence/v1"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/pagination"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/services/live"
)

func TestListCategories(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	c := livev1connect.NewLiveServiceClient(n.server.Client(), n.server.URL())
	whole, err := c.ListCategories(t.Context(), &livev1.ListCategoriesRequest{})
	n.must(err)
	if len(whole.GetCategories()) < 5 || whole.GetNextPageToken() != "" {
		t.Errorf("categories: %v", whole)
	}
	var ids []string
	for token, more := "", true; more; more = token != "" {
		res, err := c.ListCategories(t.Context(), &livev1.ListCategoriesRequest{PageSize: 2, PageToken: token})
		n.must(err)
		for _, c := range res.GetCategories() {
			ids = append(ids, c.GetId())
			if c.GetName() == "" || c.GetNameZh() == "" {
				t.Errorf("category %q has no name", c.GetId())
			}
		}
		token = res.GetNextPageToken()
	}
	for i, c := range whole.GetCategories() {
		if i >= len(ids) || ids[i] != c.GetId() {
			t.Fatalf("page by page: %v", ids)
		}
	}
	if _, err := c.ListCategories(t.Context(), &livev1.ListCategoriesRequest{PageToken: "nonsense"}); !errs.Is(err, connect.CodeInvalidArgument, pagination.ReasonTokenInvalid) {
		t.Errorf("a token of nonsense: %v", err)
	}
}

// pages lists rooms page by page.
func (n *node) pages(r *livev1.ListRoomsRequest) (ids []string) {
	n.t.Helper()
	for range 100 {
		res, err := n.as("viewer").ListRooms(n.t.Context(), r)
		n.must(err)
		if size := int(r.GetPageSize()); size > 0 && len(res.GetItems()) > size {
			n.t.Errorf("a page of %d has %d rooms", size, len(res.GetItems()))
		}
		for _, item := range res.GetItems() {
			ids = append(ids, item.GetRoom().GetId())
		}
		if r.PageToken = res.GetNextPageToken(); r.PageToken == "" {
			return ids
		}
	}
	n.t.Fatal("the pages never end")
	return nil
}

func TestListRooms(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	var rooms []*livev1.Room // oldest first
	for i, category := range []string{"talk", "games", "talk", "games", "talk", "music", "talk"} {
		rooms = append(rooms, n.openIn([]string{"ann", "bob"}[i%2], category))
	}
	id := func(i int) string { return rooms[i].GetId() }
	viewers := func(i, count int) {
		n.must(bus.Publish(t.Context(), n.bus, "presence.people_changed", "", &presencev1.PeopleChanged{
			Counts: []*presencev1.PeopleCount{{ConversationId: rooms[i].GetConversationId(), Count: int32(count)}},
		}))
		n.eventually("the count is known", func() bool {
			res, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageSize: 100})
			n.must(err)
			for _, item := range res.GetItems() {
				if item.GetRoom().GetId() == id(i) {
					return item.GetBroadcast() == nil || int(item.GetBroadcast().GetViewerCount()) == count
				}
			}
			return false
		})
	}
	for _, i := range []int{0, 1, 2, 3} {
		n.live(id(i), n.key(rooms[i].GetOwner().GetId(), id(i)))
	}
	viewers(0, 5)
	viewers(1, 9)
	viewers(6, 100) // talks, and shows nothing
	// A room that only starts is not on the air yet.
	_, err := n.push(n.key("ann", id(4)))
	n.must(err)
	n.until(id(4), starting)

	all := []string{id(1), id(0), id(3), id(2), id(6), id(5), id(4)}
	for name, c := range map[string]struct {
		request *livev1.ListRoomsRequest
		want    []string
	}{
		"all":                 {&livev1.ListRoomsRequest{}, all},
		"one by one":          {&livev1.ListRoomsRequest{PageSize: 1}, all},
		"by two":              {&livev1.ListRoomsRequest{PageSize: 2}, all},
		"by three":            {&livev1.ListRoomsRequest{PageSize: 3}, all},
		"by four":             {&livev1.ListRoomsRequest{PageSize: 4}, all}, // a page ends where the air does
		"by seven":            {&livev1.ListRoomsRequest{PageSize: 7}, all},
		"by many":             {&livev1.ListRoomsRequest{PageSize: 1000}, all},
		"on the air":          {&livev1.ListRoomsRequest{OnlyLive: true}, []string{id(1), id(0), id(3), id(2)}},
		"on the air, by two":  {&livev1.ListRoomsRequest{OnlyLive: true, PageSize: 2}, []string{id(1), id(0), id(3), id(2)}},
		"talk":                {&livev1.ListRoomsRequest{CategoryId: "talk", PageSize: 2}, []string{id(0), id(2), id(6), id(4)}},
		"games on the air":    {&livev1.ListRoomsRequest{CategoryId: "games", OnlyLive: true}, []string{id(1), id(3)}},
		"an unknown category": {&livev1.ListRoomsRequest{CategoryId: "none"}, nil},
		"bob's":               {&livev1.ListRoomsRequest{OwnerId: "bob", PageSize: 2}, []string{id(1), id(3), id(5)}},
		"bob's on the air":    {&livev1.ListRoomsRequest{OwnerId: "bob", OnlyLive: true}, []string{id(1), id(3)}},
		"of somebody without": {&livev1.ListRoomsRequest{OwnerId: "carl"}, nil},
	} {
		if got := n.pages(c.request); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	list, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{})
	n.must(err)
	for i, want := range []livev1.BroadcastState{onAir, onAir, onAir, onAir, 0, 0, starting} {
		if got := list.GetItems()[i].GetBroadcast().GetState(); got != want {
			t.Errorf("item %d is %v, want %v", i, got, want)
		}
	}
	if got := list.GetItems()[0]; got.GetBroadcast().GetViewerCount() != 9 || got.GetRoom().GetOwner().GetNickname() != "nick bob" {
		t.Errorf("the first is %v", got)
	}
	if got := n.get(id(1)).GetBroadcast().GetViewerCount(); got != 9 {
		t.Errorf("GetRoom counts %d viewers", got)
	}
	// People who come and go between two pages neither repeat nor hide a room that stays where it was.
	first, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageSize: 1})
	n.must(err)
	viewers(1, 0)
	rest := n.pages(&livev1.ListRoomsRequest{PageSize: 3, PageToken: first.GetNextPageToken()})
	for _, i := range []int{0, 2, 3, 4, 5, 6} {
		if !slices.Contains(rest, id(i)) {
			t.Errorf("room %d is lost between two pages", i)
		}
	}
	for _, token := range []string{"nonsense", "e30=", strings.Repeat("A", 257)} {
		if _, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageToken: token}); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("page token %.10q: %v", token, err)
		}
	}
	if _, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{PageSize: -1}); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
		t.Errorf("a page of -1: %v", err)
	}
}

// named opens a room with a title.
func (n *node) named(owner, title, category string) string {
	n.t.Helper()
	res, err := n.as(owner).CreateRoom(n.t.Context(), &livev1.CreateRoomRequest{Title: title, CategoryId: category, RequestId: requestID()})
	n.must(err)
	return res.GetRoom().GetId()
}

func TestSearchRooms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.boot(nil)
	for id, nickname := range map[string]string{"ann": "Ännchen 100%", "bob": "Bob_by", "eve": "Ёлка", "mei": "小美"} {
		n.users.call(id, nickname)
	}
	titles := []struct{ owner, title, category string }{
		{"ann", "Morning COFFEE", "talk"},
		{"bob", "Кофе и ÉCLAIRS", "talk"},
		{"mei", "早上的咖啡", "games"},
		{"bob", "50% off_everything\\now", "games"},
		{"ann", "Straße nach Αθήνας", "music"},
		{"eve", "coffee again", "games"},
	}
	ids := make([]string, len(titles))
	for i, r := range titles {
		ids[i] = n.named(r.owner, r.title, r.category)
	}
	n.live(ids[1], n.key("bob", ids[1]))
	n.live(ids[5], n.key("eve", ids[5]))
	of := func(rooms ...int) (out []string) {
		for _, i := range rooms {
			out = append(out, ids[i])
		}
		return out
	}
	check := func(when string) {
		t.Helper()
		for name, c := range map[string]struct {
			request *livev1.ListRoomsRequest
			want    []string
		}{
			"a title in another case":       {&livev1.ListRoomsRequest{Query: "Coffee"}, of(5, 0)},
			"with spaces around":            {&livev1.ListRoomsRequest{Query: "  coffee "}, of(5, 0)},
			"nothing but spaces":            {&livev1.ListRoomsRequest{Query: "  "}, of(5, 1, 4, 3, 2, 0)},
			"Cyrillic":                      {&livev1.ListRoomsRequest{Query: "кОФЕ"}, of(1)},
			"accents":                       {&livev1.ListRoomsRequest{Query: "éclair"}, of(1)},
			"Greek, with its two sigmas":    {&livev1.ListRoomsRequest{Query: "ΑΘΉΝΑΣ"}, of(4)},
			"Chinese":                       {&livev1.ListRoomsRequest{Query: "咖啡"}, of(2)},
			"a percent sign":                {&livev1.ListRoomsRequest{Query: "%"}, of(4, 3, 0)}, // one in a nickname
			"a percent sign in a title":     {&livev1.ListRoomsRequest{Query: "50% o"}, of(3)},
			"an underscore":                 {&livev1.ListRoomsRequest{Query: "off_every"}, of(3)},
			"an underscore is no wildcard":  {&livev1.ListRoomsRequest{Query: "mo_ning"}, nil},
			"a percent sign is no wildcard": {&livev1.ListRoomsRequest{Query: "m%ning"}, nil},
			"a backslash":                   {&livev1.ListRoomsRequest{Query: "\\n"}, of(3)},
			"a quote":                       {&livev1.ListRoomsRequest{Query: "' OR 1=1 --"}, nil},
			"a nickname":                    {&livev1.ListRoomsRequest{Query: "bob_"}, of(1, 3)},
			"a nickname in another case":    {&livev1.ListRoomsRequest{Query: "ÄNNCHEN"}, of(4, 0)},
			"not the name to sign in with":  {&livev1.ListRoomsRequest{Query: "name-"}, nil},
			"a nickname or a title":         {&livev1.ListRoomsRequest{Query: "o", PageSize: 1}, of(5, 1, 3, 0)},
			"in a category":                 {&livev1.ListRoomsRequest{Query: "coffee", CategoryId: "talk"}, of(0)},
			"on the air":                    {&livev1.ListRoomsRequest{Query: "coffee", OnlyLive: true}, of(5)},
			"of an owner":                   {&livev1.ListRoomsRequest{Query: "coffee", OwnerId: "ann"}, of(0)},
			"of another owner":              {&livev1.ListRoomsRequest{Query: "coffee", OwnerId: "bob"}, nil},
			"nothing":                       {&livev1.ListRoomsRequest{Query: "tea"}, nil},
			"longer than any nickname":      {&livev1.ListRoomsRequest{Query: strings.Repeat("咖", 80)}, nil},
		} {
			if got := n.pages(c.request); !slices.Equal(got, c.want) {
				t.Errorf("%s: %s: %v, want %v", when, name, got, c.want)
			}
		}
	}
	check("at first")

	// Rows of a time when there was no column to search in.
	n.must(n.end())
	db := storetest.OpenAt(t, w.storeURL, "live", live.Migrations)
	_, err := db.Write.ExecContext(t.Context(), "UPDATE rooms SET title_folded = ''")
	n.must(err)
	n = w.boot(nil)
	check("after an upgrade") // interrupted broadcasts are listed as before

	_, err = n.as("ann").UpdateRoom(t.Context(), &livev1.UpdateRoomRequest{
		RoomId: ids[0], Title: "Evening TEA", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
	})
	n.must(err)
	for query, want := range map[string][]string{"evening tea": of(0), "morning": nil} {
		if got := n.pages(&livev1.ListRoomsRequest{Query: query}); !slices.Equal(got, want) {
			t.Errorf("after a new title, %q: %v, want %v", query, got, want)
		}
	}
	if _, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{Query: strings.Repeat("x", 81)}); !errs.Is(err, connect.CodeInvalidArgument, errs.ReasonInvalidArgument) {
		t.Errorf("81 characters: %v", err)
	}
	n.users.set(func(d *directory) { d.down = true })
	if _, err := n.as("x").ListRooms(t.Context(), &livev1.ListRoomsRequest{Query: "x"}); !errs.Is(err, connect.CodeUnavailable, errs.ReasonUnavailable) {
		t.Errorf("without auth: %v", err)
	}
}

// TestSearchAsksForSoManyPeople: a letter that is in everyone's nickname costs a few calls, not one a page of people.
func TestSearchAsksForSoManyPeople(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	for i := range 1200 {
		n.users.call(fmt.Sprint("person-", i), fmt.Sprint("Someone ", i))
	}
	newest, oldest := n.named("person-1199", "a", "talk"), n.named("person-0", "b", "talk")
	if got := n.pages(&livev1.ListRoomsRequest{Query: "someone"}); !slices.Equal(got, []string{newest}) {
		t.Errorf("found %v, want the room of the newest person", got)
	}
	if got := n.pages(&livev1.ListRoomsRequest{Query: "someone 0"}); !slices.Equal(got, []string{oldest}) {
		t.Errorf("found %v, want the room of the oldest person", got)
	}
	n.users.set(func(d *directory) {
		if d.searches > 10 {
			t.Errorf("auth was asked %d times", d.searches)
		}
	})
}

// TestSearchFindsNoGuests: those who come for a look do not push streamers out of the people that are looked at.
func TestSearchFindsNoGuests(t *testing.T) {
	t.Parallel()
	n := newWorld(t).boot(nil)
	n.users.call("host", "Guest-house")
	room := n.named("host", "Rooms to let", "talk")
	for i := range 600 {
		id := fmt.Sprint("guest-", i)
		n.users.call(id, fmt.Sprint("Guest-", i))
		n.users.set(func(d *directory) { d.guests = append(d.guests, id) })
	}
	if got := n.pages(&livev1.ListRoomsRequest{Query: "guest-"}); !slices.Equal(got, []string{room}) {
		t.Errorf("found %v, want the host's room", got)
	}
}
