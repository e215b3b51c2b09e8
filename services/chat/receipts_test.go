package chat_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/internal/store/storetest"
)

// TestReceiptsOfManyMessages counts who has read and got a hundred messages in a group of 8,000, of whom some came later
// and some went: as many as a count for each finds, at the price of one.
func TestReceiptsOfManyMessages(t *testing.T) {
	t.Parallel()
	const members, asked = 8_000, 100
	w := newWorld(t)
	n, id := w.crowd(members)
	ctx := t.Context()
	var seqs []int64
	for i := range int64(asked) {
		n.say("m-000001", id, fmt.Sprint("of-another-", i), "x")
		n.say("ann", id, fmt.Sprint("of-ann-", i), "x")
		seqs = append(seqs, 201-2*i, 201-2*i) // hers are 3, 5 … 201
	}
	w.exec("UPDATE members SET first_seq = CASE WHEN id % 7 = 0 THEN 1 + id % 150 ELSE 1 END, delivered_seq = id % 211, "+
		"role = CASE WHEN id % 11 = 0 THEN 0 ELSE 1 END WHERE conversation_id = ? AND user_id <> 'ann'", id)
	w.exec("UPDATE members SET read_seq = delivered_seq - id % 13 WHERE conversation_id = ? AND user_id <> 'ann'", id)
	ask := func(seqs []int64) (*chatv1.GetReceiptsResponse, int64) {
		t.Helper()
		_, before, err := n.service.PagesRead(ctx)
		n.must(err)
		res, err := n.as("ann").GetReceipts(ctx, &chatv1.GetReceiptsRequest{ConversationId: id, Seqs: seqs})
		n.must(err)
		_, after, err := n.service.PagesRead(ctx)
		n.must(err)
		return res, after - before
	}
	all, many := ask(seqs[:asked])
	if len(all.GetReceipts()) != asked/2 { // each was named twice
		t.Fatalf("%d receipts", len(all.GetReceipts()))
	}
	others := w.positionsIn(id, "ann")
	for i, r := range all.GetReceipts() {
		if want := int64(103 + 2*i); r.GetSeq() != want {
			t.Fatalf("receipt %d is of message %d, want %d", i, r.GetSeq(), want)
		}
		var read, delivered int32
		for _, o := range others {
			if o.first <= r.GetSeq() && r.GetSeq() <= o.read {
				read++
			}
			if o.first <= r.GetSeq() && r.GetSeq() <= o.delivered {
				delivered++
			}
		}
		if r.GetReadCount() != read || r.GetDeliveredCount() != delivered || read == 0 || delivered == 0 {
			t.Errorf("message %d: %v, want %d who read and %d who got it", r.GetSeq(), r, read, delivered)
		}
	}
	one, few := ask([]int64{103})
	if got := one.GetReceipts(); len(got) != 1 || got[0].String() != all.GetReceipts()[0].String() {
		t.Errorf("asked alone it is %v, and among others %v", got, all.GetReceipts()[0])
	}
	t.Logf("%d messages look at %d pages, one at %d", asked/2, many, few)
	if few < members/20 && storetest.Backend() == storetest.SQLite || many > few+10*asked/2 { // a message is a few
		t.Errorf("%d messages look at %d pages, one at %d", asked/2, many, few)
	}
	if none, pages := ask([]int64{2, 4, 1000}); len(none.GetReceipts()) != 0 || pages > 100 {
		t.Errorf("of others' messages: %v, for %d pages", none, pages)
	}
}

// standing is where a member is in a conversation.
type standing struct{ first, read, delivered int64 }

// positionsIn reads where all members but one are.
func (w *world) positionsIn(conversation, but string) (all []standing) {
	w.t.Helper()
	w.behind(func(db *sql.DB) error {
		rows, err := db.QueryContext(w.t.Context(), "SELECT first_seq, read_seq, delivered_seq FROM members "+
			"WHERE conversation_id = ? AND user_id <> ? AND role > 0", conversation, but)
		if err != nil {
			return err
		}
		for rows.Next() {
			var s standing
			if err := rows.Scan(&s.first, &s.read, &s.delivered); err != nil {
				return err
			}
			all = append(all, s)
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	return all
}

// TestReadersInPages pages through 8,000 readers: each once, and no page looks at those of the pages before.
func TestReadersInPages(t *testing.T) {
	t.Parallel()
	const members = 8_000
	w := newWorld(t)
	n, id := w.crowd(members)
	ctx := t.Context()
	seq := n.say("ann", id, "to-be-read", "x").GetSeq()
	w.exec("UPDATE members SET read_seq = ? WHERE conversation_id = ?", seq, id)
	token, first, count, last := "", int64(0), 0, ""
	for {
		_, before, err := n.service.PagesRead(ctx)
		n.must(err)
		res, err := n.as("ann").ListReaders(ctx, &chatv1.ListReadersRequest{ConversationId: id, Seq: seq, PageSize: 200, PageToken: token})
		n.must(err)
		_, after, err := n.service.PagesRead(ctx)
		n.must(err)
		if token == "" {
			first = after - before
		}
		if pages := after - before; pages > 2*first || pages > 20*200 {
			t.Fatalf("the page after %d readers looks at %d pages of the file, the first at %d", count, pages, first)
		}
		for _, u := range res.GetReaders() {
			if u.GetId() <= last {
				t.Fatalf("%s is listed after %s", u.GetId(), last)
			}
			last = u.GetId()
		}
		count += len(res.GetReaders())
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if count != members-1 {
		t.Errorf("%d readers, want %d", count, members-1)
	}
}
