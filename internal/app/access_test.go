package app_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/internal/authn"
	"github.com/stoa-live/stoa/internal/errs"
	"github.com/stoa-live/stoa/internal/store/storetest"
	"github.com/stoa-live/stoa/internal/testkit"
)

const invalid = errs.ReasonInvalidArgument

// access is what each RPC asks of its caller, said a second time and independently of the table of package authn, and
// how it answers an empty request of one who may call it: by success ("") or a reason.
func access() map[string]struct {
	needs    authn.Access
	answered string
} {
	return map[string]struct {
		needs    authn.Access
		answered string
	}{
		"/stoa.auth.v1.AuthService/RegisterDevice":   {authn.Public, invalid},
		"/stoa.auth.v1.AuthService/SignUp":           {authn.Public, invalid},
		"/stoa.auth.v1.AuthService/SignIn":           {authn.Public, invalid},
		"/stoa.auth.v1.AuthService/SignInAsGuest":    {authn.Public, invalid},
		"/stoa.auth.v1.AuthService/SignInAsOperator": {authn.Public, invalid},
		"/stoa.auth.v1.AuthService/GetSetup":         {authn.Public, ""},
		"/stoa.auth.v1.AuthService/CreateFirstAdmin": {authn.Public, invalid},
		"/stoa.auth.v1.AuthService/RefreshToken":     {authn.Public, invalid},
		"/stoa.auth.v1.AuthService/SignOut":          {authn.Guest, ""},
		"/stoa.auth.v1.AuthService/GetMe":            {authn.Guest, ""},
		"/stoa.auth.v1.AuthService/ListDevices":      {authn.Guest, ""},
		"/stoa.auth.v1.AuthService/RevokeDevice":     {authn.Guest, invalid},
		"/stoa.auth.v1.AuthService/UpdateProfile":    {authn.User, invalid},
		"/stoa.auth.v1.AuthService/UploadAvatar":     {authn.User, invalid},
		"/stoa.auth.v1.AuthService/DeleteAvatar":     {authn.User, ""},
		"/stoa.auth.v1.AuthService/ChangePassword":   {authn.User, invalid},

		"/stoa.live.v1.LiveService/ListCategories":     {authn.Public, ""},
		"/stoa.live.v1.LiveService/ListRooms":          {authn.Public, ""},
		"/stoa.live.v1.LiveService/GetRoom":            {authn.Guest, invalid},
		"/stoa.live.v1.LiveService/ListBroadcasts":     {authn.Guest, invalid},
		"/stoa.live.v1.LiveService/CreateRoom":         {authn.User, invalid},
		"/stoa.live.v1.LiveService/UpdateRoom":         {authn.User, invalid},
		"/stoa.live.v1.LiveService/SetCover":           {authn.User, invalid},
		"/stoa.live.v1.LiveService/AcknowledgeWarning": {authn.User, invalid},
		"/stoa.live.v1.LiveService/GetStreamKey":       {authn.User, invalid},
		"/stoa.live.v1.LiveService/IssueStreamKey":     {authn.User, invalid},
		"/stoa.live.v1.LiveService/RevokeStreamKey":    {authn.User, invalid},
		"/stoa.live.v1.LiveService/EndBroadcast":       {authn.User, invalid},
		"/stoa.live.v1.LiveService/GetStreamStats":     {authn.User, invalid},

		"/stoa.chat.v1.ChatService/SendMessage":      {authn.User, invalid},
		"/stoa.chat.v1.ChatService/ForwardMessages":  {authn.User, invalid},
		"/stoa.chat.v1.ChatService/EditMessage":      {authn.User, invalid},
		"/stoa.chat.v1.ChatService/RecallMessage":    {authn.User, invalid},
		"/stoa.chat.v1.ChatService/HideMessages":     {authn.User, invalid},
		"/stoa.chat.v1.ChatService/ListHidden":       {authn.User, invalid},
		"/stoa.chat.v1.ChatService/SetReaction":      {authn.User, invalid},
		"/stoa.chat.v1.ChatService/ListReactions":    {authn.Guest, invalid},
		"/stoa.chat.v1.ChatService/PinMessage":       {authn.User, invalid},
		"/stoa.chat.v1.ChatService/ListPins":         {authn.Guest, invalid},
		"/stoa.chat.v1.ChatService/ListMessages":     {authn.Guest, invalid},
		"/stoa.chat.v1.ChatService/PullMessages":     {authn.Guest, invalid},
		"/stoa.chat.v1.ChatService/Sync":             {authn.Guest, ""},
		"/stoa.chat.v1.ChatService/GetConversation":  {authn.Guest, invalid},
		"/stoa.chat.v1.ChatService/OpenDirect":       {authn.User, invalid},
		"/stoa.chat.v1.ChatService/UpdateSettings":   {authn.User, invalid},
		"/stoa.chat.v1.ChatService/AdvancePositions": {authn.User, invalid},
		"/stoa.chat.v1.ChatService/GetReceipts":      {authn.User, invalid},
		"/stoa.chat.v1.ChatService/ListReaders":      {authn.User, invalid},
		"/stoa.chat.v1.ChatService/Like":             {authn.User, invalid},

		"/stoa.chat.v1.GroupService/CreateGroup":     {authn.User, invalid},
		"/stoa.chat.v1.GroupService/UpdateGroup":     {authn.User, invalid},
		"/stoa.chat.v1.GroupService/AddMembers":      {authn.User, invalid},
		"/stoa.chat.v1.GroupService/JoinGroup":       {authn.User, invalid},
		"/stoa.chat.v1.GroupService/LeaveGroup":      {authn.User, invalid},
		"/stoa.chat.v1.GroupService/RemoveMembers":   {authn.User, invalid},
		"/stoa.chat.v1.GroupService/SetMemberRole":   {authn.User, invalid},
		"/stoa.chat.v1.GroupService/TransferGroup":   {authn.User, invalid},
		"/stoa.chat.v1.GroupService/DisbandGroup":    {authn.User, invalid},
		"/stoa.chat.v1.GroupService/MuteMember":      {authn.User, invalid},
		"/stoa.chat.v1.GroupService/BanUser":         {authn.User, invalid},
		"/stoa.chat.v1.GroupService/UnbanUser":       {authn.User, invalid},
		"/stoa.chat.v1.GroupService/ListBannedUsers": {authn.User, invalid},
		"/stoa.chat.v1.GroupService/ListMembers":     {authn.User, invalid},
		"/stoa.chat.v1.GroupService/SyncMembers":     {authn.User, invalid},

		"/stoa.presence.v1.PresenceService/BatchGetPresence": {authn.Guest, invalid},
		"/stoa.presence.v1.PresenceService/CountPeople":      {authn.Guest, invalid},
		"/stoa.presence.v1.PresenceService/SetStatus":        {authn.User, ""},
		"/stoa.presence.v1.PresenceService/GetPrivacy":       {authn.User, ""},
		"/stoa.presence.v1.PresenceService/UpdatePrivacy":    {authn.User, invalid},

		"/stoa.edge.v1.EdgeService/ListAccessPoints": {authn.Public, ""},
		"/stoa.edge.v1.EdgeService/Connect":          {authn.Guest, ""},
		"/stoa.edge.v1.EdgeService/Send":             {authn.Guest, invalid},

		"/stoa.site.v1.SiteService/GetSite": {authn.Public, ""},

		"/stoa.admin.v1.AdminService/GetOverview":      {authn.Moderator, ""},
		"/stoa.admin.v1.AdminService/ListUsers":        {authn.Moderator, ""},
		"/stoa.admin.v1.AdminService/GetUser":          {authn.Moderator, invalid},
		"/stoa.admin.v1.AdminService/ListRooms":        {authn.Moderator, ""},
		"/stoa.admin.v1.AdminService/EndBroadcast":     {authn.Moderator, invalid},
		"/stoa.admin.v1.AdminService/WarnStreamer":     {authn.Moderator, invalid},
		"/stoa.admin.v1.AdminService/TakeDownCover":    {authn.Moderator, invalid},
		"/stoa.admin.v1.AdminService/DeleteMessage":    {authn.Moderator, invalid},
		"/stoa.admin.v1.AdminService/MuteUser":         {authn.Moderator, invalid},
		"/stoa.admin.v1.AdminService/UnmuteUser":       {authn.Moderator, invalid},
		"/stoa.admin.v1.AdminService/ListMutes":        {authn.Moderator, ""},
		"/stoa.admin.v1.AdminService/RevokeUserDevice": {authn.Admin, invalid},
		"/stoa.admin.v1.AdminService/BanUser":          {authn.Admin, invalid},
		"/stoa.admin.v1.AdminService/UnbanUser":        {authn.Admin, invalid},
		"/stoa.admin.v1.AdminService/SetUserRole":      {authn.Admin, invalid},
		"/stoa.admin.v1.AdminService/UpdateSite":       {authn.Admin, invalid},
		"/stoa.admin.v1.AdminService/ListAuditEntries": {authn.Admin, ""},
	}
}

// caller is somebody with or without a token.
type caller struct {
	token string
	is    authn.Access // Public for those who prove nothing
	wrong string       // why the token is refused, "" for good ones
}

func callers(t *testing.T, s *testkit.Server) map[string]caller {
	t.Helper()
	user := s.User(t, "user")
	gone := s.Guest(t)
	if _, err := as(s, binary, gone.Token).auth.SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	awaitRevoked(t, s, gone.Token)
	stranger, err := authn.NewServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	service, err := authn.NewServiceTokens(stranger, nil).Token("gateway")
	if err != nil {
		t.Fatal(err)
	}
	keyID, key := signingKey(t, s)
	admin := authn.Principal{
		UserID: user.User.GetId(), SessionID: "s", DeviceID: user.DeviceID, Role: authv1.Role_ROLE_ADMIN, ExpiresAt: time.Now().Add(time.Hour),
	}
	forged := sign(t, keyID, stranger, admin)
	admin.ExpiresAt = time.Now().Add(-time.Second)
	expired := sign(t, keyID, key, admin)
	return map[string]caller{
		"nobody":    {"", authn.Public, authn.ReasonTokenMissing},
		"guest":     {s.Guest(t).Token, authn.Guest, ""},
		"user":      {user.Token, authn.User, ""},
		"moderator": {inRole(t, s, authv1.Role_ROLE_MODERATOR).Token, authn.Moderator, ""},
		"admin":     {inRole(t, s, authv1.Role_ROLE_ADMIN).Token, authn.Admin, ""},
		"operator":  {s.Operator(t).Token, authn.Admin, ""},
		"revoked":   {gone.Token, authn.Public, authn.ReasonSessionRevoked},
		"forged":    {forged, authn.Public, authn.ReasonTokenInvalid},
		"expired":   {expired, authn.Public, authn.ReasonTokenExpired},
		"service":   {service, authn.Public, authn.ReasonTokenInvalid},
		"refresh":   {user.Refresh, authn.Public, authn.ReasonTokenInvalid},
	}
}

// inRole makes a user one of the staff, who signs in again.
func inRole(t *testing.T, s *testkit.Server, role authv1.Role) testkit.Person {
	t.Helper()
	person := s.User(t, "staff")
	_, err := as(s, binary, s.Operator(t).Token).admin.SetUserRole(t.Context(), &adminv1.SetUserRoleRequest{UserId: person.User.GetId(), Role: role})
	if err != nil {
		t.Fatalf("set role: %v", err)
	}
	res, err := as(s, binary, "").auth.SignIn(t.Context(), &authv1.SignInRequest{
		DeviceId: person.DeviceID, Username: person.User.GetUsername(), Password: testkit.Password,
	})
	if err != nil || res.GetUser().GetRole() != role {
		t.Fatalf("sign in: %v, %v", res, err)
	}
	return testkit.Person{User: res.GetUser(), DeviceID: person.DeviceID, Token: res.GetAccessToken(), Refresh: res.GetRefreshToken()}
}

// TestAuthorizationTable asks every RPC of the house as every caller.
func TestAuthorizationTable(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	table := access()
	var procedures []string
	const signOut = "/stoa.auth.v1.AuthService/SignOut"
	for procedure := range rpcs() {
		if _, ok := table[procedure]; !ok && !internal(procedure) {
			t.Errorf("%s is not in the table of this test", procedure)
		}
		if procedure != signOut {
			procedures = append(procedures, procedure)
		}
	}
	for procedure := range table {
		if procedure != signOut && !slices.Contains(procedures, procedure) {
			t.Errorf("%s is in the table of this test and does not exist", procedure)
		}
	}
	slices.Sort(procedures)
	procedures = append(procedures, signOut) // last, since it ends the session
	for name, who := range callers(t, s) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, procedure := range procedures {
				err := callEmpty(t, s, procedure, who.token)
				switch row := table[procedure]; {
				case internal(procedure):
					refused(t, procedure, err, connect.CodeUnimplemented, "UNKNOWN_RPC")
				case who.is >= row.needs && row.answered == "":
					if err != nil {
						t.Errorf("%s: %v", procedure, err)
					}
				case who.is >= row.needs:
					refused(t, procedure, err, connect.CodeInvalidArgument, row.answered)
				case who.wrong != "":
					refused(t, procedure, err, connect.CodeUnauthenticated, who.wrong)
				default:
					refused(t, procedure, err, connect.CodePermissionDenied, errs.ReasonForbidden)
					if role := errs.Metadata(err)["required_role"]; role != row.needs.String() {
						t.Errorf("%s: the role is said to be %q, want %q", procedure, role, row.needs)
					}
				}
			}
		})
	}
}

// callEmpty sends the empty message, which is one of every type, and takes whatever comes for one.
func callEmpty(t *testing.T, s *testkit.Server, procedure, token string) error {
	t.Helper()
	client := connect.NewClient[emptypb.Empty, emptypb.Empty](testkit.Bearer{Client: s.HTTP2, Token: token}, s.URL+procedure, connect.WithGRPC())
	if !rpcs()[procedure].IsStreamingServer() {
		_, err := client.CallUnary(t.Context(), connect.NewRequest(&emptypb.Empty{}))
		return err
	}
	stream, err := client.CallServerStream(t.Context(), connect.NewRequest(&emptypb.Empty{}))
	if err != nil {
		return err
	}
	defer stream.Close() //nolint:errcheck // a test
	if stream.Receive() {
		return nil
	}
	return stream.Err()
}

// awaitRevoked waits until a session's end has come around.
func awaitRevoked(t *testing.T, s *testkit.Server, token string) {
	t.Helper()
	testkit.Eventually(t, 5*time.Second, "the session is refused", func() bool {
		_, err := as(s, binary, token).auth.GetMe(t.Context(), &authv1.GetMeRequest{})
		return errs.Is(err, connect.CodeUnauthenticated, authn.ReasonSessionRevoked)
	})
}

// signingKey reads the key of access tokens out of auth's database.
func signingKey(t *testing.T, s *testkit.Server) (id string, key ed25519.PrivateKey) {
	t.Helper()
	var seed []byte
	db := database(t, s.DataDir, s.Store, "auth")
	err := db.QueryRowContext(t.Context(), "SELECT id, seed FROM signing_keys ORDER BY serial LIMIT 1").Scan(&id, &seed)
	if err != nil {
		t.Fatal(err)
	}
	return id, ed25519.NewKeyFromSeed(seed)
}

// database opens a service's database beside or after its process.
func database(t *testing.T, dataDir, store, service string) *sql.DB {
	t.Helper()
	return storetest.Behind(t, databaseURL(dataDir, store), service, os.DirFS(filepath.Join("../../services", service)))
}

func databaseURL(dataDir, store string) string {
	if store != "" {
		return store
	}
	return (&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(filepath.Join(dataDir, "db"))}).String()
}

func sign(t *testing.T, keyID string, key ed25519.PrivateKey, p authn.Principal) string {
	t.Helper()
	token, err := authn.SignAccessToken(keyID, key, p, rand.Text(), p.ExpiresAt.Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestGuestsReadOnly(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	owner, guest := as(s, binary, s.User(t, "owner").Token), as(s, binary, s.Guest(t).Token)
	room := owner.openRoom(t, "A room")
	sent := owner.say(t, room.GetConversationId(), "hello, guests")
	_, history := guest.subscribe(t, room.GetConversationId())
	if len(history) != 1 || history[0].GetSeq() != sent.GetSeq() {
		t.Errorf("a guest's history: %v", history)
	}
	for procedure, err := range guest.writes(t, room) {
		refused(t, procedure, err, connect.CodePermissionDenied, errs.ReasonForbidden)
	}
	other := as(s, binary, s.User(t, "other").Token)
	for procedure, err := range other.owns(t, room) {
		refused(t, "another user: "+procedure, err, connect.CodePermissionDenied, "NOT_ROOM_OWNER")
	}
}

// writes tries what a guest may not.
func (c clients) writes(t *testing.T, room *livev1.Room) map[string]error {
	t.Helper()
	_, send := c.chat.SendMessage(t.Context(), message(room.GetConversationId(), "hello"))
	_, like := c.chat.Like(t.Context(), &chatv1.LikeRequest{ConversationId: room.GetConversationId(), Count: 1})
	_, open := c.live.CreateRoom(t.Context(), &livev1.CreateRoomRequest{Title: "Mine", CategoryId: "games", RequestId: rand.Text()})
	out := c.owns(t, room)
	out["send"], out["like"], out["open a room"] = send, like, open
	return out
}

// owns tries what only a room's owner may.
func (c clients) owns(t *testing.T, room *livev1.Room) map[string]error {
	t.Helper()
	_, issue := c.live.IssueStreamKey(t.Context(), &livev1.IssueStreamKeyRequest{RoomId: room.GetId()})
	_, revoke := c.live.RevokeStreamKey(t.Context(), &livev1.RevokeStreamKeyRequest{RoomId: room.GetId()})
	_, end := c.live.EndBroadcast(t.Context(), &livev1.EndBroadcastRequest{RoomId: room.GetId()})
	_, update := c.live.UpdateRoom(t.Context(), &livev1.UpdateRoomRequest{
		RoomId: room.GetId(), Title: "Mine", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
	})
	return map[string]error{"issue a key": issue, "revoke the key": revoke, "end the broadcast": end, "rename": update}
}
