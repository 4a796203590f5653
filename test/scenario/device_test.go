package scenario

import (
	"testing"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/client"
	"github.com/beckon-im/beckon/protocol"
)

// TestOneConnectionOfADevice: of two programs with the same deviceID the later one stays, on whichever nodes they are.
func TestOneConnectionOfADevice(t *testing.T) {
	for _, policy := range []beckon.DevicePolicy{beckon.ManyDevices, beckon.SingleDevice} {
		t.Run(string(policy), func(t *testing.T) {
			house := newHouse(t, beckon.Config{DevicePolicy: policy})
			for range 3 {
				kicked, heard := make(chan struct{}), make(chan string, 1)
				first := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "same",
					Listener: client.Listener{OnKickedOffline: func(string) { close(kicked) }}})
				second := house.DeviceWith(client.Options{Token: house.Token("ann"), DeviceID: "same", Listener: client.Listener{
					OnKickedOffline:  func(string) { t.Error("the later one was kicked offline") },
					OnReceiveMessage: func(_ string, _ uint64, m protocol.Message) { heard <- m.Text }}})
				<-kicked
				say(t, house.Device("bob", "b", client.Listener{}),
					protocol.SendMessageRequest{UserID: "ann", Body: protocol.Body{Text: "hello"}})
				if got := <-heard; got != "hello" {
					t.Errorf("ann got %q", got)
				}
				first.Close()
				second.Close()
			}
		})
	}
}
