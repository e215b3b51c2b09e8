package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/testkit"
)

// raw is a message whose bytes a test writes itself.
type raw struct{ bytes []byte }

// rawCodec leaves raw messages alone. By the name of proto it also reads the status of gRPC.
type rawCodec string

func (c rawCodec) Name() string { return string(c) }

func (rawCodec) Marshal(m any) ([]byte, error) {
	r, ok := m.(*raw)
	if !ok {
		return nil, fmt.Errorf("%T is not raw", m)
	}
	return r.bytes, nil
}

func (rawCodec) Unmarshal(b []byte, m any) error {
	switch m := m.(type) {
	case *raw:
		m.bytes = bytes.Clone(b)
		return nil
	case proto.Message:
		return proto.Unmarshal(b, m)
	default:
		return fmt.Errorf("%T is neither raw nor a message", m)
	}
}

// send calls an RPC with bytes of the test's own.
func send(t *testing.T, s *testkit.Server, p testkit.Protocol, token, procedure, codec string, body []byte) error {
	t.Helper()
	options := append(p.Options[:len(p.Options):len(p.Options)], connect.WithCodec(rawCodec(codec)))
	client := connect.NewClient[raw, raw](testkit.Bearer{Client: s.HTTP(p), Token: token}, s.URL+procedure, options...)
	if !rpcs()[procedure].IsStreamingServer() {
		_, err := client.CallUnary(t.Context(), connect.NewRequest(&raw{body}))
		return err
	}
	stream, err := client.CallServerStream(t.Context(), connect.NewRequest(&raw{body}))
	if err != nil {
		return err
	}
	defer stream.Close() //nolint:errcheck // a test
	if stream.Receive() {
		return nil
	}
	return stream.Err()
}

func TestBadInputInEveryProtocol(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	user := s.User(t, "user")
	const (
		register  = "/stoa.auth.v1.AuthService/RegisterDevice"
		subscribe = "/stoa.edge.v1.EdgeService/Connect"
		create    = "/stoa.live.v1.LiveService/CreateRoom"
		list      = "/stoa.live.v1.LiveService/ListRooms"
	)
	long := func(n int) string { return strings.Repeat("x", n) }
	cases := map[string]struct {
		procedure, codec, body string
		code                   connect.Code
		reason                 string
		says                   string // part of the message
	}{
		"unknown field":           {register, "json", `{"platform":"PLATFORM_WEB","modell":"x"}`, connect.CodeInvalidArgument, invalid, `"modell"`},
		"unknown field of stream": {subscribe, "json", `{"since":1}`, connect.CodeInvalidArgument, invalid, `"since"`},
		"number for string":       {register, "json", `{"model":5}`, connect.CodeInvalidArgument, invalid, "line 1"},
		"string for number":       {list, "json", `{"pageSize":"many"}`, connect.CodeInvalidArgument, invalid, "line 1"},
		"number out of range":     {list, "json", `{"pageSize":99999999999}`, connect.CodeInvalidArgument, invalid, "line 1"},
		"fraction":                {list, "json", `{"pageSize":1.5}`, connect.CodeInvalidArgument, invalid, "line 1"},
		"unknown enum":            {register, "json", `{"platform":"TOASTER"}`, connect.CodeInvalidArgument, invalid, "TOASTER"},
		"unknown enum number":     {register, "json", `{"platform":99}`, connect.CodeInvalidArgument, invalid, "platform"},
		"field twice":             {register, "json", `{"model":"a","model":"b"}`, connect.CodeInvalidArgument, invalid, "duplicate"},
		"half of JSON":            {register, "json", `{"model":`, connect.CodeInvalidArgument, invalid, "cannot be read"},
		"two of JSON":             {register, "json", `{}{}`, connect.CodeInvalidArgument, invalid, "cannot be read"},
		"array":                   {register, "json", `[]`, connect.CodeInvalidArgument, invalid, "cannot be read"},
		"no JSON":                 {register, "json", `hello`, connect.CodeInvalidArgument, invalid, "cannot be read"},
		"empty body":              {register, "json", ``, connect.CodeInvalidArgument, invalid, ""},
		"JSON that is not UTF-8":  {register, "json", "{\"model\":\"\xff\xfe\"}", connect.CodeInvalidArgument, invalid, "cannot be read"},
		"half a surrogate":        {register, "json", `{"model":"\ud800"}`, connect.CodeInvalidArgument, invalid, "cannot be read"},
		"deep JSON":               {register, "json", strings.Repeat(`{"a":`, 20_000), connect.CodeInvalidArgument, invalid, "cannot be read"},
		"garbage":                 {register, "proto", "\xff\xff\xff\xff", connect.CodeInvalidArgument, invalid, "cannot be read"},
		"half a message":          {register, "proto", "\x12\x20abc", connect.CodeInvalidArgument, invalid, "cannot be read"},
		"text that is not UTF-8":  {register, "proto", "\x08\x01\x12\x01\xff", connect.CodeInvalidArgument, invalid, "cannot be read"},
		"garbage for a stream":    {subscribe, "proto", "\x0a\x7f", connect.CodeInvalidArgument, invalid, "cannot be read"},
		"too long a field":        {register, "json", `{"platform":1,"model":"` + long(65) + `"}`, connect.CodeInvalidArgument, invalid, "model"},
		"too long a title":        {create, "json", `{"title":"` + long(81) + `","categoryId":"games","requestId":"12345678"}`, connect.CodeInvalidArgument, invalid, "title"},
		"nothing to subscribe to": {subscribe, "json", `{"enter":[{}]}`, connect.CodeInvalidArgument, invalid, "conversation_id"},
		"message over its limit":  {register, "json", `{"model":"` + long(1<<20) + `"}`, connect.CodeResourceExhausted, errs.ReasonRequestTooLarge, ""},
		"binary over its limit":   {register, "proto", long(1<<20 + 1), connect.CodeResourceExhausted, errs.ReasonRequestTooLarge, ""},
		"body over the limit":     {register, "json", `{"model":"` + long(5<<20) + `"}`, connect.CodeResourceExhausted, errs.ReasonRequestTooLarge, ""},
		"stream over its limit":   {subscribe, "json", `{"enter":[{"conversationId":"` + long(1<<20) + `"}]}`, connect.CodeResourceExhausted, errs.ReasonRequestTooLarge, ""},
	}
	for _, p := range testkit.Protocols() {
		if !strings.Contains(p.Name, "binary") { // the cases choose their codec
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			for name, c := range cases {
				err := send(t, s, p, user.Token, c.procedure, c.codec, []byte(c.body))
				refused(t, name, err, c.code, c.reason)
				wire, ok := errors.AsType[*connect.Error](err)
				if !ok {
					continue
				}
				text := strings.ReplaceAll(wire.Message(), "\u00a0", " ")
				if !strings.Contains(text, c.says) || len(text) > 1000 {
					t.Errorf("%s: it says %.300q", name, text)
				}
				for _, inside := range []string{"authv1", "livev1", "chatv1", "edgev1", "proto:", "unmarshal", "github.com"} {
					if strings.Contains(text, inside) {
						t.Errorf("%s: it shows the house from inside: %q", name, text)
					}
				}
			}
			// The good one beside the bad ones.
			if err := send(t, s, p, user.Token, register, "json", []byte(`{"platform":"PLATFORM_WEB"}`)); err != nil {
				t.Errorf("a good request: %v", err)
			}
		})
	}
}
