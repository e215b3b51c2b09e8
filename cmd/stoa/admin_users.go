package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
)

type usersCommand struct {
	page   `embed:""`
	Query  string `arg:"" optional:"" help:"Part of a username or nickname."`
	Banned bool   `help:"Only banned users."`
	Staff  bool   `help:"Only moderators and administrators."`
}

// Run lists users.
func (c *usersCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	w := table("ID\tUSERNAME\tNICKNAME\tROLE\tSINCE\tBAN")
	for left, token := c.Limit, ""; left > 0; {
		resp, err := client.ListUsers(ctx, &adminv1.ListUsersRequest{
			Query: c.Query, OnlyBanned: c.Banned, OnlyStaff: c.Staff, PageSize: min(left, 100), PageToken: token,
		})
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

type userCommand struct {
	User string `arg:"" help:"The user's id."`
}

// Run shows all that is known of a user.
func (c *userCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	resp, err := client.GetUser(ctx, &adminv1.GetUserRequest{UserId: c.User})
	if err != nil {
		return err
	}
	u := resp.GetUser().GetUser()
	fmt.Printf("%s  %s  %s  since %s\n", u.GetNickname(), u.GetUsername(), u.GetRole(), timeText(u.GetCreatedAt()))
	if ban := resp.GetUser().GetBan(); ban != nil {
		fmt.Printf("banned %s: %s\n", lasting(ban.GetUntil()), ban.GetReason())
	}
	for _, m := range resp.GetMutes() {
		where := "everywhere"
		if m.GetConversationId() != "" {
			where = "in " + m.GetConversationId()
		}
		fmt.Printf("muted %s %s: %s\n", where, lasting(m.GetUntil()), m.GetReason())
	}
	w := table("\nSESSION\tPLATFORM\tMODEL\tSINCE\tSEEN")
	for _, d := range resp.GetDevices() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.GetSessionId(), d.GetPlatform(), d.GetModel(), timeText(d.GetSignedInAt()), timeText(d.GetLastSeenAt()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	w = table("\nROOM\tTITLE\tSTATE\tVIEWERS")
	for _, item := range resp.GetRooms() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", item.GetRoom().GetId(), item.GetRoom().GetTitle(), item.GetBroadcast().GetState(), item.GetBroadcast().GetViewerCount())
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
	resp, err := client.BanUser(ctx, &adminv1.BanUserRequest{UserId: c.User, Reason: c.Reason, Until: expiry(c.For)})
	if err != nil {
		return err
	}
	fmt.Printf("%s is banned %s\n", resp.GetUser().GetUser().GetNickname(), lasting(resp.GetUser().GetBan().GetUntil()))
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

type muteCommand struct {
	User   string        `arg:"" help:"The user's id."`
	Reason string        `required:"" help:"Shown to the user."`
	For    time.Duration `help:"How long, such as 10m; for ever when absent."`
	In     string        `placeholder:"CONVERSATION" help:"Only in this conversation; everywhere when absent."`
}

// Run mutes a user.
func (c *muteCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	resp, err := client.MuteUser(ctx, &adminv1.MuteUserRequest{
		UserId: c.User, ConversationId: c.In, Reason: c.Reason, Until: expiry(c.For),
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s is muted %s\n", resp.GetMute().GetUser().GetNickname(), lasting(resp.GetMute().GetUntil()))
	return nil
}

type unmuteCommand struct {
	User string `arg:"" help:"The user's id."`
	In   string `placeholder:"CONVERSATION" help:"The mute in this conversation; the one everywhere when absent."`
}

// Run lifts a mute.
func (c *unmuteCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	if _, err := client.UnmuteUser(ctx, &adminv1.UnmuteUserRequest{UserId: c.User, ConversationId: c.In}); err != nil {
		return err
	}
	fmt.Println("the mute is lifted")
	return nil
}

type setRoleCommand struct {
	User string `arg:"" help:"The user's id."`
	Role string `arg:"" enum:"user,moderator,admin" help:"user, moderator or admin."`
}

// Run changes what a user may do.
func (c *setRoleCommand) Run(ctx context.Context, parent *adminCommand) error {
	return setRole(ctx, parent, c.User, authv1.Role(authv1.Role_value["ROLE_"+strings.ToUpper(c.Role)]))
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

// Run makes one of the staff a user.
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
