package main

import (
	"context"
	"fmt"

	adminv1 "github.com/stoa-live/stoa/gen/go/stoa/admin/v1"
)

type roomsCommand struct {
	page  `embed:""`
	Query string `arg:"" optional:"" help:"Part of a title or of the owner's nickname."`
	Live  bool   `help:"Only rooms on the air."`
}

// Run lists rooms.
func (c *roomsCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	w := table("ID\tTITLE\tOWNER\tSTATE\tVIEWERS\tSTARTED")
	for left, token := c.Limit, ""; left > 0; {
		resp, err := client.ListRooms(ctx, &adminv1.ListRoomsRequest{Query: c.Query, OnlyLive: c.Live, PageSize: min(left, 100), PageToken: token})
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

type warnCommand struct {
	Room string `arg:"" help:"The room's id."`
	Text string `arg:"" help:"What to say to the owner."`
}

// Run warns a streamer.
func (c *warnCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	if _, err := client.WarnStreamer(ctx, &adminv1.WarnStreamerRequest{RoomId: c.Room, Text: c.Text}); err != nil {
		return err
	}
	fmt.Println("the owner is shown the warning until they have read it")
	return nil
}

type takeDownCoverCommand struct {
	Room   string `arg:"" help:"The room's id."`
	Reason string `required:"" help:"For the audit log."`
}

// Run removes a cover.
func (c *takeDownCoverCommand) Run(ctx context.Context, parent *adminCommand) error {
	client, err := parent.client(ctx)
	if err != nil {
		return err
	}
	resp, err := client.TakeDownCover(ctx, &adminv1.TakeDownCoverRequest{RoomId: c.Room, Reason: c.Reason})
	if err != nil {
		return err
	}
	fmt.Printf("%s has no cover until its next broadcast\n", resp.GetRoom().GetTitle())
	return nil
}
