// Command chat signs in, syncs and talks: it prints what is said in all of the user's conversations, and sends each line
// of its input to one of them.
//
//	go run ./clients/go/examples/chat -server http://localhost:8080 -user ada -password '…' -with <user id of somebody>
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	stoa "github.com/stoa-live/stoa/clients/go"
	chatv1 "github.com/stoa-live/stoa/gen/go/stoa/chat/v1"
)

func main() {
	server := flag.String("server", "http://localhost:8080", "the API's address")
	user := flag.String("user", "", "who signs in")
	password := flag.String("password", "", "their password")
	with := flag.String("with", "", "the id of the user to talk with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	account, err := stoa.SignIn(ctx, stoa.AccountOptions{URL: *server}, *user, *password)
	if err != nil {
		log.Fatal(err)
	}
	chat, err := stoa.OpenChat(ctx, stoa.Options{
		URL:   "ws" + strings.TrimPrefix(*server, "http") + "/edge/v1",
		Token: account.Token,
	}, stoa.ChatOptions{OnUpdate: show})
	if err != nil {
		log.Fatal(err)
	}
	defer chat.Close() // here everything that was said before has been shown

	direct, err := chat.Service.OpenDirect(ctx, &chatv1.OpenDirectRequest{UserId: *with})
	if err != nil {
		log.Fatal(err)
	}
	for input := bufio.NewScanner(os.Stdin); ctx.Err() == nil && input.Scan(); {
		if _, err := chat.SendText(ctx, direct.GetState().GetConversation().GetId(), input.Text()); err != nil {
			log.Print(err) // refused: whatever may pass was tried until it passed
		}
	}
}

func show(update stoa.Update) {
	for _, m := range update.Messages {
		fmt.Printf("%s  %s: %s\n", m.GetConversationId(), m.GetSender().GetNickname(), m.GetContent().GetText().GetText())
	}
}
