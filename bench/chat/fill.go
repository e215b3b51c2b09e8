package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // the driver "sqlite"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

const fillerTalk = 1000 // messages in each conversation that exists only to be there

// talk is a conversation to be filled.
type talk struct {
	id      string
	last    int64 // the number of its last message
	add     int
	senders [2]string
}

// fill writes messages straight into the database of a server that is stopped: half of them spread over the conversations
// that are there, half into direct conversations of people whom nobody ever asks for. It knows the tables of services/chat,
// and fails where they changed.
func fill(ctx context.Context, path string, messages int) error {
	if messages == 0 {
		return nil
	}
	query := url.Values{"_pragma": {"journal_mode(OFF)", "synchronous(OFF)", "locking_mode(EXCLUSIVE)", "cache_size(-1000000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	err = fillAll(ctx, db, messages)
	return errors.Join(err, db.Close())
}

func fillAll(ctx context.Context, db *sql.DB, messages int) error {
	talks, err := existingTalks(ctx, db)
	if err != nil {
		return err
	}
	if len(talks) == 0 {
		return errors.New("there are no direct conversations to be like")
	}
	each := messages / 2 / len(talks)
	for i := range talks {
		talks[i].add = each
	}
	rest := messages - each*len(talks)
	strangers, err := addStrangers(ctx, db, talks[0].id, rest)
	if err != nil {
		return fmt.Errorf("add conversations: %w", err)
	}
	talks = append(talks, strangers...)
	// In the order of the table, which is then written from its beginning to its end.
	slices.SortFunc(talks, func(a, b talk) int { return strings.Compare(a.id, b.id) })
	const atOnce = 200_000
	for len(talks) > 0 {
		n, rows := 0, 0
		for n < len(talks) && rows < atOnce {
			rows += talks[n].add
			n++
		}
		if err := addMessages(ctx, db, talks[:n]); err != nil {
			return fmt.Errorf("add messages: %w", err)
		}
		talks = talks[n:]
	}
	return nil
}

func existingTalks(ctx context.Context, db *sql.DB) ([]talk, error) {
	rows, err := db.QueryContext(ctx, "SELECT c.id, c.last_seq, min(m.user_id), max(m.user_id) "+
		"FROM conversations c JOIN members m ON m.conversation_id = c.id GROUP BY c.id ORDER BY c.kind, c.id")
	if err != nil {
		return nil, fmt.Errorf("read conversations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var talks []talk
	for rows.Next() {
		var t talk
		if err := rows.Scan(&t.id, &t.last, &t.senders[0], &t.senders[1]); err != nil {
			return nil, err
		}
		talks = append(talks, t)
	}
	return talks, rows.Err()
}

// addStrangers makes direct conversations like one that is there, for as many messages.
func addStrangers(ctx context.Context, db *sql.DB, like string, messages int) ([]talk, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	var talks []talk
	for n := 0; messages > 0; n++ {
		t := talk{id: fmt.Sprintf("01H%023d", n), add: min(messages, fillerTalk)}
		messages -= t.add
		for i := range t.senders {
			t.senders[i] = fmt.Sprintf("01H%022d%d", n, i)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO conversations "+
			"(id, kind, owner_id, epoch, created_at, version, member_count, member_version, unique_key) "+
			"SELECT ?, kind, owner_id, epoch, created_at, version, member_count, member_version, ? FROM conversations WHERE id = ?",
			t.id, "pair:"+t.senders[0]+" "+t.senders[1], like); err != nil {
			return nil, err
		}
		for _, user := range t.senders {
			if _, err := tx.ExecContext(ctx, "INSERT INTO members (conversation_id, user_id, role, joined_at, member_version, version) "+
				"SELECT ?, ?, role, joined_at, member_version, version FROM members WHERE conversation_id = ? LIMIT 1",
				t.id, user, like); err != nil {
				return nil, err
			}
		}
		talks = append(talks, t)
	}
	return talks, tx.Commit()
}

func addMessages(ctx context.Context, db *sql.DB, talks []talk) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO messages (conversation_id, seq, sender_id, client_msg_id, body, sent_at) "+
		"VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	at := time.Now().Add(-24 * time.Hour)
	for _, t := range talks {
		var bodies [2][]byte
		for i, sender := range t.senders {
			if bodies[i], err = storedBody(sender); err != nil {
				return err
			}
		}
		for n := range t.add {
			at = at.Add(time.Microsecond)
			id := fmt.Sprintf("%012x%014x", at.UnixMilli(), n) // grows with time, as clients are asked for
			_, err := insert.ExecContext(ctx, t.id, t.last+int64(n)+1, t.senders[n%2], id, bodies[n%2], at.UnixMicro())
			if err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE conversations SET last_seq = last_seq + ? WHERE id = ?", t.add, t.id); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// storedBody is what the store keeps of a text besides its place.
func storedBody(sender string) ([]byte, error) {
	return proto.Marshal(&chatv1.Message{
		Sender:  &authv1.User{Id: sender, Nickname: "sender-0001", Role: authv1.Role_ROLE_USER},
		Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: newText(time.Unix(0, 0), 0)}}},
	})
}
