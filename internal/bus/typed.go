package bus

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Publish publishes a protobuf event.
func Publish[T proto.Message](ctx context.Context, b Bus, topic, key string, event T) error {
	payload, err := proto.Marshal(event)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return b.Publish(ctx, topic, key, payload)
}

// Subscribe subscribes to protobuf events. Each call of handle gets a message of its own. A payload that is no T is given
// up and logged.
func Subscribe[T proto.Message](
	b Bus, topic, group string, handle func(ctx context.Context, key string, event T) error,
) (Subscription, error) {
	var zero T
	kind := zero.ProtoReflect().Type() // works on the nil pointer that zero is
	return b.Subscribe(topic, group, func(ctx context.Context, e Event) error {
		event, ok := kind.New().Interface().(T)
		if !ok {
			return Permanent(fmt.Errorf("decode event of %s: no %T", e.Topic, zero))
		}
		if err := proto.Unmarshal(e.Payload, event); err != nil {
			return Permanent(fmt.Errorf("decode event of %s: %w", e.Topic, err))
		}
		return handle(ctx, e.Key, event)
	})
}
