package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stoa-live/stoa/internal/testkit"
)

// rpcs returns every RPC of the house, by procedure.
func rpcs() map[string]protoreflect.MethodDescriptor {
	all := make(map[string]protoreflect.MethodDescriptor)
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "stoa.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				all[fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())] = m
			}
		}
		return true
	})
	return all
}

// internal tells the services that clients must not reach.
func internal(procedure string) bool {
	for _, name := range []string{"stoa.auth.v1.DirectoryService", "stoa.live.v1.ControlService", "stoa.chat.v1.ConversationService", "stoa.edge.v1.PushService"} {
		if strings.HasPrefix(procedure, "/"+name+"/") {
			return true
		}
	}
	return false
}

// fetch sends one request and returns the answer with its body.
func fetch(t *testing.T, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func get(t *testing.T, s *testkit.Server, path, token string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return fetch(t, s.HTTP1, r)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	const serving = 1
	for _, p := range testkit.Protocols() {
		if !strings.Contains(p.Name, "binary") {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			// On the wire, the messages of health are a string and a number in field 1.
			client := connect.NewClient[wrapperspb.StringValue, wrapperspb.Int32Value](
				s.HTTP(p), s.URL+"/grpc.health.v1.Health/Check", p.Options...)
			for _, service := range []string{"", "stoa.auth.v1.AuthService", "stoa.live.v1.LiveService", "stoa.chat.v1.ChatService", "stoa.admin.v1.AdminService", "stoa.site.v1.SiteService"} {
				res, err := client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(service)))
				if err != nil || res.Msg.GetValue() != serving {
					t.Errorf("%q: %v, %v", service, res, err)
				}
			}
			for _, service := range []string{"stoa.auth.v1.DirectoryService", "nothing"} {
				_, err := client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String(service)))
				refused(t, service, err, connect.CodeNotFound, "NOT_FOUND")
			}
		})
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/grpc.health.v1.Health/Check", strings.NewReader(`{"service":"stoa.chat.v1.ChatService"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if res, body := fetch(t, s.HTTP1, r); res.StatusCode != http.StatusOK || !strings.Contains(body, "SERVING") {
		t.Errorf("by JSON: %d %s", res.StatusCode, body)
	}
}

func TestReflection(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	for name, options := range map[string][]connect.ClientOption{"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}} {
		t.Run(name, func(t *testing.T) {
			client := grpcreflect.NewClient(s.HTTP2, s.URL, options...)
			stream := client.NewStream(t.Context())
			defer stream.Close() //nolint:errcheck // a test
			names, err := stream.ListServices()
			want := []protoreflect.FullName{
				"stoa.admin.v1.AdminService", "stoa.auth.v1.AuthService", "stoa.chat.v1.ChatService", "stoa.chat.v1.GroupService",
				"stoa.edge.v1.EdgeService", "stoa.live.v1.LiveService", "stoa.presence.v1.PresenceService", "stoa.site.v1.SiteService",
			}
			slices.Sort(names)
			if err != nil || !slices.Equal(names, want) {
				t.Errorf("services: %v, %v", names, err)
			}
			files, err := stream.FileContainingSymbol("stoa.chat.v1.ChatService.Sync")
			if err != nil || !slices.ContainsFunc(files, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetPackage() == "stoa.chat.v1" }) {
				t.Fatalf("describe: %v, %v", files, err)
			}
			chat, err := protoregistry.GlobalFiles.FindDescriptorByName("stoa.chat.v1.ChatService")
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(files, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == chat.ParentFile().Path() })
			if i < 0 || !proto.Equal(files[i], protodesc.ToFileDescriptorProto(chat.ParentFile())) {
				t.Errorf("the file of ChatService is not among %d files, or another one", len(files))
			}
		})
	}
}

func TestPlainJSON(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	guest := s.Guest(t)
	post := func(path, body string, headers ...string) (*http.Response, map[string]any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, text := fetch(t, s.HTTP1, r)
		var out map[string]any
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatalf("%s: %d %s", path, res.StatusCode, text)
		}
		return res, out
	}
	res, out := post("/stoa.auth.v1.AuthService/RegisterDevice", `{"platform":"PLATFORM_WEB","model":"curl"}`)
	if id, ok := out["deviceId"].(string); res.StatusCode != http.StatusOK || !ok || id == "" {
		t.Errorf("register: %d %v", res.StatusCode, out)
	}
	// As protobuf's JSON allows: names as in the contract, numbers for enums.
	if res, out := post("/stoa.live.v1.LiveService/ListRooms", `{"page_size":1,"only_live":true}`, "Content-Type", "application/json; charset=utf-8"); res.StatusCode != 200 {
		t.Errorf("names as in the contract: %d %v", res.StatusCode, out)
	}
	if res, out := post("/stoa.auth.v1.AuthService/RegisterDevice", `{"platform":1}`); res.StatusCode != 200 {
		t.Errorf("an enum as number: %d %v", res.StatusCode, out)
	}
	res, out = post("/stoa.auth.v1.AuthService/GetMe", `{}`, "Authorization", "Bearer "+guest.Token)
	if user, ok := out["user"].(map[string]any); res.StatusCode != 200 || !ok || user["id"] != guest.User.GetId() || user["role"] != "ROLE_GUEST" {
		t.Errorf("me: %d %v", res.StatusCode, out)
	}
	res, out = post("/stoa.auth.v1.AuthService/GetMe", `{}`)
	if res.StatusCode != http.StatusUnauthorized || out["code"] != "unauthenticated" {
		t.Errorf("nobody: %d %v", res.StatusCode, out)
	}
	res, out = post("/stoa.auth.v1.AuthService/GetMe", `{}`, "Authorization", "Basic Zm9vOmJhcg==")
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("another scheme: %d %v", res.StatusCode, out)
	}
	if res, _ := get(t, s, "/stoa.auth.v1.AuthService/GetMe?connect=v1&encoding=json&message=%7B%7D&access_token="+guest.Token, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token in the address: %d", res.StatusCode)
	}
}

// TestReadsByGET holds the HTTP methods to what the contracts say of side effects.
func TestReadsByGET(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	operator := s.Operator(t)
	reads := 0
	for procedure, method := range rpcs() {
		query := "?" + url.Values{"connect": {"v1"}, "encoding": {"json"}, "message": {"{}"}}.Encode()
		res, body := get(t, s, procedure+query, operator.Token)
		options, _ := method.Options().(*descriptorpb.MethodOptions)
		read := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		switch {
		case internal(procedure):
			if res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d %s", procedure, res.StatusCode, body)
			}
		case !read:
			if res.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(body, "METHOD_NOT_ALLOWED") {
				t.Errorf("%s changes something and is answered by GET: %d %s", procedure, res.StatusCode, body)
			}
		default:
			reads++
			if res.StatusCode != http.StatusOK && !strings.Contains(body, "INVALID_ARGUMENT") {
				t.Errorf("%s: %d %s", procedure, res.StatusCode, body)
			}
		}
	}
	if reads < 8 {
		t.Errorf("%d reads", reads)
	}
	res, body := get(t, s, "/stoa.live.v1.LiveService/ListCategories?connect=v1&encoding=json&message=%7B%22pageSize%22%3A1%7D", "")
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `"categories"`) || !strings.Contains(body, `"nextPageToken"`) {
		t.Errorf("categories: %d %s", res.StatusCode, body)
	}
	res, body = get(t, s, "/stoa.live.v1.LiveService/ListCategories?connect=v1&encoding=json&message=%7B%22nonsense%22%3A1%7D", "")
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "nonsense") {
		t.Errorf("a field that is not there: %d %s", res.StatusCode, body)
	}
}

func TestOperatorsEndpoints(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	s.Guest(t)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/.well-known/jwks.json": `"crv":"Ed25519"`, "/": "<title>the app</title>",
		"/metrics": `stoa_rpc_requests_total{code="ok",procedure="/stoa.auth.v1.AuthService/SignInAsGuest"} 1`,
	} {
		if res, body := get(t, s, path, ""); res.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.2000s", path, res.StatusCode, body)
		}
	}
	if res, body := get(t, s, "/live/nothing.flv", ""); res.StatusCode < 400 || !strings.Contains(body, `"code"`) {
		t.Errorf("playback of nothing: %d %s", res.StatusCode, body)
	}
}
