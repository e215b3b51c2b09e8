package chat_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	authv1 "github.com/stoa-live/stoa/gen/go/stoa/auth/v1"
	"github.com/stoa-live/stoa/services/chat"
)

// BenchmarkDurableSend is how fast messages of 100 bytes are acknowledged, each of them fsynced: by 64 senders, into one
// conversation and into sixteen, at the service's own door and through the whole stack of a call.
func BenchmarkDurableSend(b *testing.B) {
	const senders = 64
	body := fmt.Sprintf("%0100d", 7)
	for _, rooms := range []int{1, 16} {
		for _, door := range []string{"service", "rpc"} {
			b.Run(fmt.Sprintf("rooms=%d/%s", rooms, door), func(b *testing.B) {
				n := newWorld(b).boot(fast())
				conversations := make([]string, rooms)
				for i := range conversations {
					conversations[i] = fmt.Sprintf("01JBENCH%018d", i)
					n.create(conversations[i])
				}
				var next atomic.Int64
				var all sync.WaitGroup
				b.ResetTimer()
				for s := range senders {
					who := n.User(fmt.Sprint("sender-", s), authv1.Role_ROLE_USER)
					client := n.as(who.UserID)
					all.Go(func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							r := sending(conversations[int(i)%rooms], fmt.Sprint(i), body)
							var err error
							if door == "rpc" {
								_, err = client.SendMessage(b.Context(), r)
							} else {
								_, err = n.service.SendMessage(context.Background(), who, chat.Draft{
									ConversationID: r.GetConversationId(), ClientMsgID: r.GetClientMsgId(), Content: r.GetContent(),
								})
							}
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acked/s")
			})
		}
	}
}
