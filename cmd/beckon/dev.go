package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/beckon-im/beckon"
	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/protocol"
)

type devCmd struct{ serverFlags }

// demoUser is a predefined user for trying out the server.
type demoUser struct {
	UserID string `json:"userID"`
	Nick   string `json:"nick"`
	Token  string `json:"token,omitempty"`
}

// demoUsers get tokens from beckon dev. The first is the teacher of the class and the host of the chat room.
func demoUsers() []demoUser {
	return []demoUser{{UserID: "alice", Nick: "Alice Moreau"}, {UserID: "bob", Nick: "Bob Tanaka"},
		{UserID: "carol", Nick: "Carol Okafor"},
		{UserID: "dan", Nick: "Dan Lindqvist"}, {UserID: "erin", Nick: "Erin Costa"}, {UserID: "frank", Nick: "Frank Weiss"}}
}

// Run runs a server for trying out.
func (c *devCmd) Run(ctx context.Context) error {
	if c.Media == "" && c.LiveKitKey == "" {
		c.Media = "embedded"
	}
	if c.AdminListen != "" {
		return errors.New("dev serves everything at one address: omit --admin-listen, or use beckon serve")
	}
	cfg := c.config(c.logger())
	cfg.Web, cfg.Console = true, true
	if len(cfg.Origins) == 0 {
		cfg.Origins = []string{"*"}
	}
	return c.run(ctx, cfg, withDemo, func(srv *beckon.Server, url string) {
		if err := seed(ctx, url, srv.APIKey()); err != nil {
			fmt.Fprintln(os.Stderr, "beckon: creating the demo groups failed:", err)
		}
		fmt.Printf(
			"\nbeckon is ready at %s  (data in %s)\n\nOpen that address in two windows, sign in as two users, and call.\n\n",
			url, c.Data)
		fmt.Printf("  methods      %s/docs\n  OpenAPI      %s/openapi.json\n  devices      ws%s/connection/websocket\n  "+
			"metrics      %s/metrics\n  console      %s/console (sign in with the API key)\n\n", url, url, url[4:], url, url)
		fmt.Printf("  API key      %s\n", srv.APIKey())
		for _, user := range demoUsers()[:3] {
			token, err := srv.Token(user.UserID, "", 0)
			if err != nil {
				fmt.Fprintln(os.Stderr, "beckon: no token for", user.UserID+":", err)
				continue
			}
			fmt.Printf("  token %-6s %s\n", user.UserID, token)
		}
		fmt.Printf("\nOr in two terminals:\n\n  %[1]s phone alice --data %[2]s --server %[3]s\n  %[1]s phone bob --data "+
			"%[2]s --server %[3]s\n\n", os.Args[0], c.Data, url)
	})
}

// withDemo adds an endpoint for the sign-in page: the demo users with tokens, without authentication. For dev only.
func withDemo(srv *beckon.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", srv.Handler())
	mux.HandleFunc("GET /demo/people", func(w http.ResponseWriter, _ *http.Request) {
		demo := demoUsers()
		for i := range demo {
			token, err := srv.Token(demo[i].UserID, "", 0)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			demo[i].Token = token
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(demo)
	})
	return mux
}

// seed imports the demo users and their groups: a class, a chat room and a team. Existing groups are unchanged.
func seed(ctx context.Context, url, apiKey string) error {
	demo := demoUsers()
	var users protocol.ImportUsersRequest
	var others []protocol.ImportMember
	for i, p := range demo {
		users.Users = append(users.Users, protocol.Profile{UserID: p.UserID, Nick: p.Nick})
		if i > 0 {
			others = append(others, protocol.ImportMember{UserID: p.UserID})
		}
	}
	group := func(id string, t im.GroupType, name string, members []protocol.ImportMember) protocol.ImportGroup {
		return protocol.ImportGroup{GroupID: id, Type: string(t), Owner: demo[0].UserID,
			GroupInfo: protocol.GroupInfo{Name: name}, Members: members}
	}
	var made protocol.ImportResponse
	err := post(ctx, url, apiKey, "importGroups", protocol.ImportGroupsRequest{Groups: []protocol.ImportGroup{
		group("demo-class", im.Public, "Physics, class 7b", others),
		group("demo-lounge", im.AVChatRoom, "Friday lounge", others),
		group("demo-team", im.Work, "Team", others[:2]),
	}}, &made)
	if err != nil || made.Imported == 0 {
		return err
	}
	return post(ctx, url, apiKey, "importUsers", users, &made)
}

// post calls a method as an app server.
func post(ctx context.Context, url, apiKey, method string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return fmt.Errorf("%s: %s", method, b)
	}
	return json.NewDecoder(res.Body).Decode(response)
}
