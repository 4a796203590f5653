//go:build !nosfu

package sfu

import (
	"slices"
	"testing"
)

// TestOneAddress: of several addresses of a machine, the media server uses that at which its packets arrive.
func TestOneAddress(t *testing.T) {
	own, err := ownIP()
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]string{
		"127.0.0.1": "127.0.0.1/32", "::1": "::1/128", own.String(): own.String() + "/32",
		"203.0.113.7": own.String() + "/32", // that of a router in front of this machine
	} {
		conf, err := Options{IP: ip, Key: "k", Secret: "s"}.config()
		if err != nil {
			t.Fatal(err)
		}
		if got := conf.RTC.IPs.Includes; !own.IsLoopback() && !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v, want %s", ip, got, want)
		}
	}
}
