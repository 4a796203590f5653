package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/beckon-im/beckon"
)

// pushFlags configure the push providers.
type pushFlags struct {
	APNsKey        string        `help:"Authentication key file of APNs (.p8)." name:"apns-key" placeholder:"FILE"`
	APNsKeyID      string        `help:"ID of the APNs key." name:"apns-key-id"`
	APNsTeamID     string        `help:"Team ID of the APNs key." name:"apns-team-id"`
	APNsApp        string        `help:"Bundle ID of the app." name:"apns-app"`
	APNsURL        string        `help:"URL to use instead of Apple's." name:"apns-url" placeholder:"URL"`
	FCMCredentials string        `help:"Firebase service account file (JSON)." name:"fcm-credentials" placeholder:"FILE"`
	FCMURL         string        `help:"URL to use instead of Google's." name:"fcm-url" placeholder:"URL"`
	Subject        string        `help:"Contact for the operators of Web Push services, such as mailto:ops@example.com." name:"push-subject"`
	Private        bool          `help:"Allow Web Push and UnifiedPush endpoints at private addresses and without TLS. This server sends requests to them." name:"push-private"`
	MessageDelay   time.Duration `help:"Time to read a message on a connected device before it is pushed to the others." name:"push-delay" default:"10s"`
	Templates      string        `help:"File of push texts (JSON), by language and kind." name:"push-templates" placeholder:"FILE"`
}

func (f *pushFlags) config() (c beckon.PushConfig, err error) {
	c = beckon.PushConfig{APNsKeyID: f.APNsKeyID, APNsTeamID: f.APNsTeamID, APNsApp: f.APNsApp, APNsURL: f.APNsURL,
		FCMURL: f.FCMURL, Subject: f.Subject, Private: f.Private, MessageDelay: f.MessageDelay}
	var templates []byte
	for name, into := range map[string]*[]byte{f.APNsKey: &c.APNsKey, f.FCMCredentials: &c.FCMCredentials,
		f.Templates: &templates} {
		if name == "" {
			continue
		}
		if *into, err = os.ReadFile(name); err != nil {
			return c, err
		}
	}
	if templates != nil {
		if err := json.Unmarshal(templates, &c.Templates); err != nil {
			return c, fmt.Errorf("parse push templates %s: %w", f.Templates, err)
		}
	}
	return c, nil
}
