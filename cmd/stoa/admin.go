package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/admin/v1/adminv1connect"
	sitev1 "github.com/stoa-live/stoa/gen/go/stoa/site/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/site/v1/sitev1connect"
)

type adminCommand struct {
	Server  string `env:"STOA_SERVER" default:"http://127.0.0.1:8080" help:"Address of the server."`
	DataDir string `name:"data-dir" env:"STOA_DATA_DIR" default:"./data" help:"The server's data folder, where the operator key is."`

	Users         usersCommand         `cmd:"" help:"List users."`
	User          userCommand          `cmd:"" help:"Show a user with devices, rooms and mutes."`
	Ban           banCommand           `cmd:"" help:"Ban a user: every session ends within seconds."`
	Unban         unbanCommand         `cmd:"" help:"Lift a ban."`
	Mute          muteCommand          `cmd:"" help:"Keep a user from writing."`
	Unmute        unmuteCommand        `cmd:"" help:"Lift a mute."`
	SetRole       setRoleCommand       `cmd:"" help:"Make a user a moderator, an administrator, or no longer one."`
	Promote       promoteCommand       `cmd:"" help:"Make a user an administrator."`
	Demote        demoteCommand        `cmd:"" help:"Make an administrator or a moderator a user."`
	Rooms         roomsCommand         `cmd:"" help:"List rooms."`
	EndBroadcast  endBroadcastCommand  `cmd:"" help:"End a room's broadcast."`
	Warn          warnCommand          `cmd:"" help:"Show a warning to a room's owner."`
	TakeDownCover takeDownCoverCommand `cmd:"" help:"Remove a room's cover until its next broadcast."`
	Site          siteCommand          `cmd:"" help:"Show or change the settings of the site."`
	Audit         auditCommand         `cmd:"" help:"Read the audit log."`
}

// client signs in as operator.
func (c *adminCommand) client(ctx context.Context) (adminv1connect.AdminServiceClient, error) {
	s := newServer(c.Server)
	if err := s.signInAsOperator(ctx, c.DataDir); err != nil {
		return nil, err
	}
	return adminv1connect.NewAdminServiceClient(s.client, s.url, s.options()), nil
}

// expiry is when something ends that begins now; nil for never.
func expiry(length time.Duration) *timestamppb.Timestamp {
	if length <= 0 {
		return nil
	}
	return timestamppb.New(time.Now().Add(length))
}

// lasting says until when.
func lasting(until *timestamppb.Timestamp) string {
	if until == nil {
		return "for ever"
	}
	return "until " + timeText(until)
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

type siteCommand struct {
	Name         *string `help:"What the installation is called."`
	Announcement *string `help:"Shown above the home page; empty for nothing."`
	SignUp       *bool   `negatable:"" help:"Whether people may sign up."`
	RoomCreation *bool   `negatable:"" help:"Whether users may open rooms; the staff always may."`
}

// change returns the settings that were given, and their names.
func (c *siteCommand) change() (site *sitev1.Site, fields []string) {
	site = &sitev1.Site{}
	if c.Name != nil {
		site.Name, fields = *c.Name, append(fields, "name")
	}
	if c.Announcement != nil {
		site.Announcement, fields = *c.Announcement, append(fields, "announcement")
	}
	if c.SignUp != nil {
		site.SignUpEnabled, fields = *c.SignUp, append(fields, "sign_up_enabled")
	}
	if c.RoomCreation != nil {
		site.RoomCreationEnabled, fields = *c.RoomCreation, append(fields, "room_creation_enabled")
	}
	return site, fields
}

// Run changes what is given, and shows all settings.
func (c *siteCommand) Run(ctx context.Context, parent *adminCommand) error {
	if change, fields := c.change(); len(fields) > 0 {
		client, err := parent.client(ctx)
		if err != nil {
			return err
		}
		if _, err := client.UpdateSite(ctx, &adminv1.UpdateSiteRequest{Site: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}}); err != nil {
			return err
		}
	}
	s := newServer(parent.Server)
	resp, err := sitev1connect.NewSiteServiceClient(s.client, s.url, s.options()).GetSite(ctx, &sitev1.GetSiteRequest{})
	if err != nil {
		return err
	}
	site := resp.GetSite()
	w := table("SETTING\tVALUE")
	fmt.Fprintf(w, "name\t%s\nannouncement\t%s\nsign-up\t%t\nroom-creation\t%t\n",
		site.GetName(), site.GetAnnouncement(), site.GetSignUpEnabled(), site.GetRoomCreationEnabled())
	return w.Flush()
}

type auditCommand struct {
	page   `embed:""`
	Actor  string        `help:"Only acts of this user."`
	Target string        `help:"Only acts on this user, room or conversation."`
	Action string        `help:"Only this act, such as user.ban, or with a trailing dot all that begin so."`
	Since  time.Duration `help:"Only acts of this last while, such as 24h."`
}

// Run reads the audit log.
func (c *auditCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	var since *timestamppb.Timestamp
	if c.Since > 0 {
		since = timestamppb.New(time.Now().Add(-c.Since))
	}
	w := table("AT\tACTOR\tWHO\tACTION\tTARGET\tWHOM\tDETAIL\tERROR")
	for left, token := c.Limit, ""; left > 0; {
		resp, err := client.ListAuditEntries(ctx, &adminv1.ListAuditEntriesRequest{
			ActorId: c.Actor, TargetId: c.Target, Action: c.Action, Since: since, PageSize: min(left, 100), PageToken: token,
		})
		if err != nil {
			return err
		}
		for _, e := range resp.GetEntries() {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", timeText(e.GetAt()), e.GetActorId(), e.GetActorName(), e.GetAction(),
				e.GetTargetId(), e.GetTargetName(), e.GetDetail(), e.GetError())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
		left -= int32(len(resp.GetEntries()))
	}
	return w.Flush()
}
