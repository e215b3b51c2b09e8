package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

type adminCommand struct {
	Server  string `env:"STOA_SERVER" default:"http://127.0.0.1:8080" help:"Address of the server."`
	DataDir string `name:"data-dir" env:"STOA_DATA_DIR" default:"./data" help:"The server's data folder, where the operator key is."`

	Users        usersCommand        `cmd:"" help:"List users."`
	Ban          banCommand          `cmd:"" help:"Ban a user: every session ends within seconds."`
	Unban        unbanCommand        `cmd:"" help:"Lift a ban."`
	Promote      promoteCommand      `cmd:"" help:"Make a user an administrator."`
	Demote       demoteCommand       `cmd:"" help:"Make an administrator a user."`
	Rooms        roomsCommand        `cmd:"" help:"List rooms."`
	EndBroadcast endBroadcastCommand `cmd:"" help:"End a room's broadcast."`
	Audit        auditCommand        `cmd:"" help:"Read the audit log."`
}

// client signs in as operator.
func (c *adminCommand) client(ctx context.Context) (adminv1connect.AdminServiceClient, error) {
	s := newServer(c.Server)
	if err := s.signInAsOperator(ctx, c.DataDir); err != nil {
		return nil, err
	}
	return adminv1connect.NewAdminServiceClient(s.client, s.url, s.options()), nil
}

func table(header string) *tabwriter.Writer {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	return w
}

func timeText(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05")
}

// page is what the lists have in common.
type page struct {
	Limit int32 `default:"100" help:"At most this many."`
}

type usersCommand struct {
	page   `embed:""`
	Query  string `arg:"" optional:"" help:"Part of a username or nickname."`
	Banned bool   `help:"Only banned users."`
}

// Run lists users.
func (c *usersCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	w := table("ID\tUSERNAME\tNICKNAME\tROLE\tSINCE\tBAN")
	for left, token := c.Limit, ""; left > 0; {
		resp, err := client.ListUsers(ctx, &adminv1.ListUsersRequest{Query: c.Query, OnlyBanned: c.Banned, PageSize: min(left, 100), PageToken: token})
		if err != nil {
			return err
		}
		for _, a := range resp.GetUsers() {
			u, ban := a.GetUser(), "-"
			if a.GetBan() != nil {
				ban = fmt.Sprintf("%s (until %s)", a.GetBan().GetReason(), timeText(a.GetBan().GetUntil()))
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", u.GetId(), u.GetUsername(), u.GetNickname(), u.GetRole(), timeText(u.GetCreatedAt()), ban)
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
		left -= int32(len(resp.GetUsers()))
	}
	return w.Flush()
}

type banCommand struct {
	User   string        `arg:"" help:"The user's id."`
	Reason string        `required:"" help:"Shown to the user."`
	For    time.Duration `help:"How long, such as 72h; for ever when absent."`
}

// Run bans a user.
func (c *banCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	req := &adminv1.BanUserRequest{UserId: c.User, Reason: c.Reason}
	if c.For > 0 {
		req.Until = timestamppb.New(time.Now().Add(c.For))
	}
	resp, err := client.BanUser(ctx, req)
	if err != nil {
		return err
	}
	how := "for ever"
	if until := resp.GetUser().GetBan().GetUntil(); until != nil {
		how = "until " + timeText(until)
	}
	fmt.Printf("%s is banned %s\n", resp.GetUser().GetUser().GetNickname(), how)
	return nil
}

type unbanCommand struct {
	User string `arg:"" help:"The user's id."`
}

// Run lifts a ban.
func (c *unbanCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	resp, err := client.UnbanUser(ctx, &adminv1.UnbanUserRequest{UserId: c.User})
	if err != nil {
		return err
	}
	fmt.Printf("%s is not banned any more\n", resp.GetUser().GetUser().GetNickname())
	return nil
}

type promoteCommand struct {
	User string `arg:"" help:"The user's id."`
}

// Run makes a user an administrator.
func (c *promoteCommand) Run(ctx context.Context, parent *adminCommand) error {
	return setRole(ctx, parent, c.User, authv1.Role_ROLE_ADMIN)
}

type demoteCommand struct {
	User string `arg:"" help:"The user's id."`
}

// Run makes an administrator a user.
func (c *demoteCommand) Run(ctx context.Context, parent *adminCommand) error {
	return setRole(ctx, parent, c.User, authv1.Role_ROLE_USER)
}

func setRole(ctx context.Context, parent *adminCommand, user string, role authv1.Role) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	resp, err := client.SetUserRole(ctx, &adminv1.SetUserRoleRequest{UserId: user, Role: role})
	if err != nil {
		return err
	}
	fmt.Printf("%s has %s now and must sign in again\n", resp.GetUser().GetUser().GetNickname(), role)
	return nil
}

type roomsCommand struct {
	page `embed:""`
	Live bool `help:"Only rooms on the air."`
}

// Run lists rooms.
func (c *roomsCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	w := table("ID\tTITLE\tOWNER\tSTATE\tVIEWERS\tSTARTED")
	for left, token := c.Limit, ""; left > 0; {
		resp, err := client.ListRooms(ctx, &adminv1.ListRoomsRequest{OnlyLive: c.Live, PageSize: min(left, 100), PageToken: token})
		if err != nil {
			return err
		}
		for _, item := range resp.GetItems() {
			r, b := item.GetRoom(), item.GetBroadcast()
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", r.GetId(), r.GetTitle(), r.GetOwner().GetNickname(), b.GetState(), b.GetViewerCount(), timeText(b.GetStartedAt()))
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
		left -= int32(len(resp.GetItems()))
	}
	return w.Flush()
}

type endBroadcastCommand struct {
	Room   string `arg:"" help:"The room's id."`
	Reason string `required:"" help:"For the audit log."`
}

// Run ends a broadcast.
func (c *endBroadcastCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	resp, err := client.EndBroadcast(ctx, &adminv1.EndBroadcastRequest{RoomId: c.Room, Reason: c.Reason})
	if err != nil {
		return err
	}
	fmt.Printf("broadcast %s ended\n", resp.GetBroadcast().GetId())
	return nil
}

type auditCommand struct {
	page   `embed:""`
	Actor  string `help:"Only acts of this user."`
	Target string `help:"Only acts on this user or room."`
}

// Run reads the audit log.
func (c *auditCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	w := table("AT\tACTOR\tACTION\tTARGET\tDETAIL\tERROR")
	for left, token := c.Limit, ""; left > 0; {
		resp, err := client.ListAuditEntries(ctx, &adminv1.ListAuditEntriesRequest{ActorId: c.Actor, TargetId: c.Target, PageSize: min(left, 100), PageToken: token})
		if err != nil {
			return err
		}
		for _, e := range resp.GetEntries() {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", timeText(e.GetAt()), e.GetActorId(), e.GetAction(), e.GetTargetId(), e.GetDetail(), e.GetError())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
		left -= int32(len(resp.GetEntries()))
	}
	return w.Flush()
}
