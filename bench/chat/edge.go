package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	client "github.com/stoa-live/stoa/clients/go"
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

// callsInFlight stays below what the server takes of one connection.
const callsInFlight = 30

// asSender sends messages to a conversation while a goroutine takes the answers.
func (e *edge) asSender(conversationID string) *sender {
	_ = e.conn.SetReadDeadline(time.Time{})
	flying := make(chan struct{}, callsInFlight)
	failed := make(chan struct{}) // closed with problem set
	var problem error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(failed)
		for {
			switch answered, err := e.answer(); {
			case err != nil:
				problem = err
				return
			case answered:
				<-flying
			}
		}
	})
	send := func(text string) error {
		select {
		case flying <- struct{}{}:
		case <-failed:
			return problem
		}
		e.lastID++
		b, err := appendCall(nil, e.lastID, textMessage(conversationID, client.NewMessageID(), text))
		if err != nil {
			return err
		}
		return e.write(b)
	}
	return &sender{send: send, close: func() error {
		_ = e.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		defer wg.Wait()
		defer e.close()
		for range cap(flying) { // all are answered once none is in flight
			select {
			case flying <- struct{}{}:
			case <-failed:
				return problem
			}
		}
		return nil
	}}
}

// answer takes the next frame, and reports whether it answers a call. A refusal is an error.
func (e *edge) answer() (bool, error) {
	frame, err := e.next()
	if err != nil {
		return false, err
	}
	switch _, kind, body, err := parseFrame(frame); {
	case err != nil:
		return false, err
	case kind == errorKind:
		return false, refusal(body)
	case kind == goodbyeKind:
		return false, farewell(body)
	default:
		return kind == replyKind, nil
	}
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
