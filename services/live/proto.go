package live

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	livev1 "github.com/stoa-live/stoa/gen/go/stoa/live/v1"
	"github.com/stoa-live/stoa/services/live/hub"
)

// publicRoom is a room as everyone sees it, with its owner.
func (s *Service) publicRoom(ctx context.Context, r Room) (*livev1.Room, error) {
	users, err := s.users(ctx, r.OwnerID)
	if err != nil {
		return nil, err
	}
	return s.roomProto(r, users), nil
}

func (s *Service) roomProto(r Room, users map[string]*authv1.User) *livev1.Room {
	// What anyone may see of a person: not the name that they sign in with.
	u := users[r.OwnerID]
	owner := &authv1.User{Id: r.OwnerID, Nickname: u.GetNickname(), AvatarUrl: u.GetAvatarUrl(), Role: u.GetRole()}
	return &livev1.Room{
		Id: r.ID, Owner: owner, Title: r.Title, CategoryId: r.CategoryID, ConversationId: r.ConversationID,
		CoverUrl: s.covers.url(r), CoverMode: livev1.CoverMode(r.CoverMode),
		CreatedAt: timestamppb.New(r.CreatedAt), UpdatedAt: timestamppb.New(r.UpdatedAt),
	}
}

func warningProto(w Warning) *livev1.Warning {
	return &livev1.Warning{Id: w.ID, Text: w.Text, CreatedAt: timestamppb.New(w.At)}
}

func (s *Service) broadcastProto(b Broadcast) *livev1.Broadcast {
	out := &livev1.Broadcast{
		Id: b.ID, RoomId: b.RoomID, State: livev1.BroadcastState(b.State), StartedAt: timestamppb.New(b.StartedAt),
		ViewerCount: int32(b.Viewers), Title: b.Title, Summary: &livev1.BroadcastSummary{
			Duration: durationpb.New(b.Duration(s.now())), PeakViewerCount: int32(b.Counts.PeakViewers),
			MessageCount: b.Counts.Messages, LikeCount: b.Counts.Likes,
		},
	}
	if !b.EndedAt.IsZero() {
		out.EndedAt = timestamppb.New(b.EndedAt)
	}
	return out
}

func statsProto(st hub.Stats) *livev1.StreamStats {
	return &livev1.StreamStats{
		Video: &livev1.VideoStats{
			Codec: st.VideoCodec, Profile: st.VideoProfile, Width: int32(st.Width), Height: int32(st.Height),
			FrameRate: st.FrameRate, BitrateBps: st.VideoBitrate,
		},
		Audio: &livev1.AudioStats{
			Codec: st.AudioCodec, SampleRate: int32(st.SampleRate), Channels: int32(st.Channels), BitrateBps: st.AudioBitrate,
		},
		GopLength: durationpb.New(st.GOPLength), Gaps: st.Gaps, ReceivedBytes: st.ReceivedBytes, Connections: int32(st.Viewers),
		DroppedFrames: st.DroppedFrames,
	}
}
