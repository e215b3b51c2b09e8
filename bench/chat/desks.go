package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	client "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/chat/v1/chatv1connect"
)

// roomDesk is a live room of which all senders write and which none of them has entered.
func roomDesk(binary string, newID func() string) func(context.Context) (*desk, error) {
	return stoaDesk(binary, durableSenders, newID, func(ctx context.Context, s *stoa, users []person) (func(i, n int) string, error) {
		id, err := s.room(ctx, users[0])
		return func(int, int) string { return id }, err
	})
}

// groupDesk is a group whose members are the senders.
func groupDesk(binary string) func(context.Context) (*desk, error) {
	return stoaDesk(binary, durableSenders, client.NewMessageID, func(ctx context.Context, s *stoa, users []person) (func(i, n int) string, error) {
		id, err := s.group(ctx, users[0], users[1:]...)
		return func(int, int) string { return id }, err
	})
}

// pairsDesk is as many people offline as there are senders, direct conversations of each sender with one who is online and
// one who is not, and groups of five who are and five who are not. Each sender writes to a direct conversation and to a
// group in turn.
func pairsDesk(binary string) func(context.Context) (*desk, error) {
	return stoaDesk(binary, 2*durableSenders, client.NewMessageID, preparePairs)
}

func preparePairs(ctx context.Context, s *stoa, users []person) (func(i, n int) string, error) {
	online := func(i int) person { return users[i%durableSenders] }
	offline := func(i int) person { return users[durableSenders+i%durableSenders] }
	var direct [durableSenders][2]string
	var groups [durableSenders]string
	err := each(ctx, durableSenders, 8, func(ctx context.Context, i int) (err error) {
		if direct[i][0], err = s.direct(ctx, online(i), online(i+1)); err != nil {
			return err
		}
		if direct[i][1], err = s.direct(ctx, online(i), offline(i)); err != nil {
			return err
		}
		var members []person
		for k := range 4 {
			members = append(members, online(i+1+k), offline(i+k))
		}
		groups[i], err = s.group(ctx, online(i), append(members, offline(i+4))...)
		return err
	})
	return func(i, n int) string {
		if n%2 == 0 {
			return direct[i][n/2%2]
		}
		return groups[(i+durableSenders-n/2%5)%durableSenders] // the sender is in this one and the four before
	}, err
}

// pairsReceivers is how many of those who are online the n-th message of pairsDesk goes to, its sender included.
func pairsReceivers(n int) int {
	if n%2 == 0 {
		return 2 - n/2%2
	}
	return 5
}

// stoaDesk signs users up, the first of whom are the senders; prepare makes the conversations and returns the one to which
// the i-th sender writes as the n-th.
func stoaDesk(
	binary string, users int, newID func() string,
	prepare func(context.Context, *stoa, []person) (func(i, n int) string, error),
) func(context.Context) (*desk, error) {
	return func(ctx context.Context) (*desk, error) {
		s, err := startStoa(ctx, binary)
		if err != nil {
			return nil, err
		}
		people, err := s.users(ctx, users)
		if err != nil {
			s.stop()
			return nil, err
		}
		conversation, err := prepare(ctx, s, people)
		if err != nil {
			s.stop()
			return nil, err
		}
		open := func(ctx context.Context, i int) (*seat, error) {
			return s.seat(ctx, people[i], newID, func(n int) string { return conversation(i, n) })
		}
		return &desk{server: s.Process, seat: open, stop: s.stop}, nil
	}
}

// seat signs a sender in, whose n-th message goes to the conversation that is told, under a new id.
func (s *stoa) seat(
	ctx context.Context, p person, newID func() string, conversation func(n int) string,
) (*seat, error) {
	e, err := s.openEdge(ctx, p)
	if err != nil {
		return nil, err
	}
	return &seat{edge: e, frame: func(id uint32, n int, sent time.Time) ([]byte, error) {
		return appendCall(make([]byte, 0, 512), id, textMessage(conversation(n), newID(), newText(sent, n)))
	}}, nil
}

// direct opens the direct conversation of two.
func (s *stoa) direct(ctx context.Context, a, b person) (conversationID string, err error) {
	chat := chatv1connect.NewChatServiceClient(s.client, s.url(), a.signed())
	err = patiently(ctx, func() error {
		resp, err := chat.OpenDirect(ctx, &chatv1.OpenDirectRequest{UserId: b.id})
		conversationID = resp.GetState().GetConversation().GetId()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("open direct: %w", err)
	}
	return conversationID, nil
}

// group makes one with an owner and members.
func (s *stoa) group(ctx context.Context, owner person, members ...person) (conversationID string, err error) {
	request := &chatv1.CreateGroupRequest{RequestId: rand.Text(), Title: "Benchmark"}
	for _, m := range members {
		request.UserIds = append(request.UserIds, m.id)
	}
	groups := chatv1connect.NewGroupServiceClient(s.client, s.url(), owner.signed())
	err = patiently(ctx, func() error {
		resp, err := groups.CreateGroup(ctx, request)
		conversationID = resp.GetState().GetConversation().GetId()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("create group: %w", err)
	}
	return conversationID, nil
}
