package edge

import (
	"context"
	"time"

	edgev1 "github.com/stoa-live/stoa/gen/go/stoa/edge/v1"
	"github.com/stoa-live/stoa/gen/go/stoa/edge/v1/edgev1connect"
	"github.com/stoa-live/stoa/internal/bus"
	"github.com/stoa-live/stoa/internal/errs"
)

var _ edgev1connect.PushServiceHandler = (*pushHandler)(nil)

// maxNotice is the largest data of a notice, in bytes.
const maxNotice = 64 << 10

// pushHandler speaks PushService.
type pushHandler struct{ edge *Edge }

// deliver tells every edge.
func (h *pushHandler) deliver(ctx context.Context, key string, n *edgev1.Notice, d *edgev1.Delivery) error {
	if len(n.GetData()) > maxNotice {
		return errs.InvalidArgument(errs.ReasonInvalidArgument, "notice.data: at most %d bytes", maxNotice)
	}
	if n != nil {
		d.Event = &edgev1.Event{Kind: &edgev1.Event_Notice{Notice: &edgev1.Notice{
			Topic: n.GetTopic(), Data: n.GetData(), ConversationId: d.GetConversationId(),
		}}}
	}
	if err := bus.Publish(ctx, h.edge.deps.Bus, TopicDelivery, key, d); err != nil {
		return errs.Unavailable(errs.ReasonUnavailable, "it could not be told, try again").Because(err)
	}
	return nil
}

// PushToDevices implements PushService.
func (h *pushHandler) PushToDevices(
	ctx context.Context, r *edgev1.PushToDevicesRequest,
) (*edgev1.PushToDevicesResponse, error) {
	err := h.deliver(ctx, r.GetDeviceIds()[0], r.GetNotice(), &edgev1.Delivery{DeviceIds: r.GetDeviceIds()})
	return &edgev1.PushToDevicesResponse{}, err
}

// PushToUsers implements PushService.
func (h *pushHandler) PushToUsers(
	ctx context.Context, r *edgev1.PushToUsersRequest,
) (*edgev1.PushToUsersResponse, error) {
	err := h.deliver(ctx, r.GetUserIds()[0], r.GetNotice(), &edgev1.Delivery{UserIds: r.GetUserIds()})
	return &edgev1.PushToUsersResponse{}, err
}

// PushToConversation implements PushService.
func (h *pushHandler) PushToConversation(
	ctx context.Context, r *edgev1.PushToConversationRequest,
) (*edgev1.PushToConversationResponse, error) {
	err := h.deliver(ctx, r.GetConversationId(), r.GetNotice(), &edgev1.Delivery{ConversationId: r.GetConversationId()})
	return &edgev1.PushToConversationResponse{}, err
}

// PushToEveryone implements PushService.
func (h *pushHandler) PushToEveryone(
	ctx context.Context, r *edgev1.PushToEveryoneRequest,
) (*edgev1.PushToEveryoneResponse, error) {
	err := h.deliver(ctx, "everyone", r.GetNotice(), &edgev1.Delivery{Everyone: true, Rate: r.GetRate()})
	return &edgev1.PushToEveryoneResponse{}, err
}

// KickUsers implements PushService.
func (h *pushHandler) KickUsers(ctx context.Context, r *edgev1.KickUsersRequest) (*edgev1.KickUsersResponse, error) {
	err := h.deliver(ctx, r.GetUserIds()[0], nil, &edgev1.Delivery{UserIds: r.GetUserIds(), Goodbye: &edgev1.Goodbye{
		Reason: edgev1.GoodbyeReason_GOODBYE_REASON_KICKED, Message: r.GetMessage(), ReconnectMs: never,
	}})
	return &edgev1.KickUsersResponse{}, err
}

// pace is how many sessions a second a push to everyone reaches, where nobody says; pacings is in how many steps.
const pace, pacings = 5_000, 20

// paced pushes to sessions at a pace.
func (e *Edge) paced(events [][]byte, to []*session, perSecond int) {
	if perSecond <= 0 {
		perSecond = pace
	}
	step := max(1, perSecond/pacings)
	tick := time.NewTicker(time.Duration(step) * time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for len(to) > 0 {
		n := min(step, len(to))
		e.deliver(events, to[:n])
		to = to[n:]
		select {
		case <-tick.C:
		case <-e.stopping.Done():
			return
		}
	}
}
