package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/beckon-im/beckon"
)

// pushFlags are the flags for pushes.
type pushFlags struct {
	APNsKey        string `help:"File with the authentication key of APNs (.p8), for pushes to Apple's devices." name:"apns-key" placeholder:"FILE"`
	APNsKeyID      string `help:"Id of the APNs key." name:"apns-key-id"`
	APNsTeamID     string `help:"Id of the team whose key it is." name:"apns-team-id"`
	APNsApp        string `help:"Bundle id of the app." name:"apns-app"`
	APNsURL        string `help:"Address instead of Apple's." name:"apns-url" placeholder:"URL"`
	FCMCredentials string `help:"File with the service account of Firebase (JSON), for pushes by FCM." name:"fcm-credentials" placeholder:"FILE"`
	FCMURL         string `help:"Address instead of Google's." name:"fcm-url" placeholder:"URL"`
	Subject        string `help:"Whom the operators of browsers' push services can write to: mailto:ops@example.com." name:"push-subject"`
	Private        bool   `help:"Let browsers register push services at private addresses and without TLS. This server calls them." name:"push-private"`
	Templates      string `help:"File with what pushes say (JSON), by language and kind." name:"push-templates" placeholder:"FILE"`
}

func (f *pushFlags) config() (c beckon.PushConfig, err error) {
	c = beckon.PushConfig{APNsKeyID: f.APNsKeyID, APNsTeamID: f.APNsTeamID, APNsApp: f.APNsApp, APNsURL: f.APNsURL, FCMURL: f.FCMURL, Subject: f.Subject, Private: f.Private}
	var templates []byte
	for name, into := range map[string]*[]byte{f.APNsKey: &c.APNsKey, f.FCMCredentials: &c.FCMCredentials, f.Templates: &templates} {
		if name == "" {
			continue
		}
		if *into, err = os.ReadFile(name); err != nil {
			return c, err
		}
	}
	if templates != nil {
		if err := json.Unmarshal(templates, &c.Templates); err != nil {
			return c, fmt.Errorf("the push templates in %s: %w", f.Templates, err)
		}
	}
	return c, nil
}
