package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
)

const (
	sendProcedure = "/stoa.chat.v1.ChatService/SendMessage"
	ackEvery      = 50 // pushes, as the contract wishes

	goodbyeKind = protowire.Number(10)
)

// edge is a device's long connection, used by one goroutine at a time.
type edge struct {
	*socket

	silence  time.Duration
	noAcks   bool // the floor wants none
	lastID   uint32
	received int64
	onPush   func(body []byte) // nil counts only
}

// openEdge dials and signs in.
func (s *stoa) openEdge(ctx context.Context, p person) (*edge, error) {
	socket, err := dialSocket(ctx, s.address, "/edge/v1", "stoa.edge.v1")
	if err != nil {
		return nil, err
	}
	e := &edge{socket: socket}
	frame, err := e.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_SignIn{SignIn: &edgev1.SignIn{AccessToken: p.token}}})
	if err == nil && frame.GetSignedIn() == nil {
		err = fmt.Errorf("answered by %v", frame)
	}
	if err != nil {
		e.close()
		return nil, fmt.Errorf("sign in at the edge: %w", err)
	}
	e.silence = time.Duration(frame.GetSignedIn().GetSilenceMs()) * time.Millisecond
	return e, nil
}

// ask sends a frame and waits for its answer; refusals are errors.
func (e *edge) ask(frame *edgev1.ClientFrame) (*edgev1.ServerFrame, error) {
	e.lastID++
	frame.Id = e.lastID
	b, err := proto.Marshal(frame)
	if err != nil {
		return nil, err
	}
	if err := e.write(b); err != nil {
		return nil, err
	}
	answer, err := e.await(e.lastID)
	if err != nil {
		return nil, err
	}
	out := &edgev1.ServerFrame{}
	return out, proto.Unmarshal(answer, out)
}

// await returns the frame that answers id, and hands what is pushed meanwhile to onPush.
func (e *edge) await(id uint32) ([]byte, error) {
	if err := e.conn.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
		return nil, err
	}
	for {
		frame, err := e.next()
		if err != nil {
			return nil, err
		}
		answered, kind, body, err := parseFrame(frame)
		if err != nil {
			return nil, err
		}
		switch {
		case kind == pushKind:
			if e.onPush != nil {
				e.onPush(body)
			}
			if e.received++; e.received%ackEvery == 0 && !e.noAcks {
				if err := e.write(ackFrame(e.received)); err != nil {
					return nil, err
				}
			}
		case answered == id && kind == errorKind:
			return nil, refusal(body)
		case answered == id:
			return frame, nil
		case kind == goodbyeKind:
			return nil, farewell(body)
		}
	}
}

// call calls a unary RPC through the connection.
func (e *edge) call(procedure string, request, response proto.Message) error {
	b, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	frame, err := e.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Call{Call: &edgev1.Call{Procedure: procedure, Request: b}}})
	if err != nil {
		return fmt.Errorf("call %s: %w", procedure, err)
	}
	return proto.Unmarshal(frame.GetReply().GetResponse(), response)
}

// appendCall appends the frame of a send.
func appendCall(b []byte, id uint32, request *chatv1.SendMessageRequest) ([]byte, error) {
	message, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{}.MarshalAppend(b, &edgev1.ClientFrame{Id: id, Kind: &edgev1.ClientFrame_Call{
		Call: &edgev1.Call{Procedure: sendProcedure, Request: message},
	}})
}

func textMessage(conversationID, clientMsgID, text string) *chatv1.SendMessageRequest {
	return &chatv1.SendMessageRequest{
		ConversationId: conversationID, ClientMsgId: clientMsgID,
		Content: &chatv1.Content{Kind: &chatv1.Content_Text{Text: &chatv1.TextContent{Text: text}}},
	}
}

func refusal(body []byte) error {
	var e edgev1.Error
	if err := proto.Unmarshal(body, &e); err != nil {
		return err
	}
	return connect.NewError(connect.Code(e.GetCode()), fmt.Errorf("%s %s", e.GetReason(), e.GetMessage()))
}

func farewell(body []byte) error {
	var g edgev1.Goodbye
	if err := proto.Unmarshal(body, &g); err != nil {
		return err
	}
	return fmt.Errorf("goodbye: %v %s %v", g.GetReason(), g.GetMessage(), g.GetError())
}

func ackFrame(received int64) []byte {
	body := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(received))
	return protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), body)
}

// pingFrame is ClientFrame.ping without more.
func pingFrame() []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), nil)
}

// asReceiver listens for what is pushed, acknowledges it and keeps the connection.
func (e *edge) asReceiver() *receiver {
	after := func(frame []byte, texts int) error {
		if texts == 0 {
			if _, kind, body, err := parseFrame(frame); err != nil {
				return err
			} else if kind == goodbyeKind {
				return farewell(body)
			} else if kind != pushKind {
				return nil
			}
		}
		if e.received++; e.received%ackEvery == 0 {
			return e.write(ackFrame(e.received))
		}
		return nil
	}
	_ = e.conn.SetReadDeadline(time.Time{})
	return &receiver{socket: e.socket, after: after, ping: pingFrame(), interval: e.silence / 2}
}

// asSender sends messages to a conversation while a goroutine takes the answers.
func (e *edge) asSender(conversationID string) *sender {
	var mu sync.Mutex
	var refused error
	sent, answered := 0, 0
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			frame, err := e.next()
			if err == nil {
				var kind protowire.Number
				var body []byte
				switch _, kind, body, err = parseFrame(frame); {
				case err != nil:
				case kind == errorKind:
					err = refusal(body)
				case kind == goodbyeKind:
					err = farewell(body)
				case kind != replyKind:
					continue
				}
			}
			mu.Lock()
			answered++
			refused = errors.Join(refused, err)
			all := answered == sent
			mu.Unlock()
			select {
			case <-done:
				if all || err != nil {
					return
				}
			default:
				if err != nil {
					return
				}
			}
		}
	}()
	_ = e.conn.SetReadDeadline(time.Time{})
	ids := newIDs()
	send := func(text string) error {
		mu.Lock()
		sent++
		err := refused
		mu.Unlock()
		if err != nil {
			return err
		}
		e.lastID++
		b, err := appendCall(nil, e.lastID, textMessage(conversationID, ids.next(), text))
		if err != nil {
			return err
		}
		return e.write(b)
	}
	return &sender{send: send, close: func() error {
		close(done)
		mu.Lock()
		all := answered >= sent
		mu.Unlock()
		if all {
			e.close()
		} else {
			_ = e.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		}
		<-ended
		e.close()
		if all {
			return nil
		}
		return refused
	}}
}

// stoaArena is a live room with its members signed in as guests and entered.
func stoaArena(binary string) makeArena {
	return func(ctx context.Context) (*arena, error) {
		s, err := startStoa(ctx, binary)
		if err != nil {
			return nil, err
		}
		users, err := s.users(ctx, 8)
		if err != nil {
			s.stop()
			return nil, err
		}
		conversation, err := s.room(ctx, users[0])
		if err != nil {
			s.stop()
			return nil, err
		}
		receive := func(ctx context.Context, _ int) (*receiver, error) {
			guest, err := s.guest(ctx)
			if err != nil {
				return nil, err
			}
			e, err := s.openEdge(ctx, guest)
			if err != nil {
				return nil, err
			}
			_, err = e.ask(&edgev1.ClientFrame{Kind: &edgev1.ClientFrame_Enter{Enter: &edgev1.Enter{ConversationId: conversation}}})
			if err != nil {
				e.close()
				return nil, fmt.Errorf("enter the room: %w", err)
			}
			return e.asReceiver(), nil
		}
		send := func(ctx context.Context, i int) (*sender, error) {
			e, err := s.openEdge(ctx, users[i])
			if err != nil {
				return nil, err
			}
			return e.asSender(conversation), nil
		}
		return &arena{server: s.Process, receiver: receive, sender: send, stop: s.stop}, nil
	}
}
