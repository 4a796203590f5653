// Command records creates a database with a history of many call records, and measures the methods used by the console.
// With -serve it keeps the server running.
//
// The history is imported from a generated export; nothing bypasses the program.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/internal/freeport"
)

func main() {
	var o options
	flag.IntVar(&o.calls, "calls", 1_000_000, "number of call records")
	flag.IntVar(&o.days, "days", 90, "period of the records in days")
	flag.StringVar(&o.program, "program", "bin/beckon", "path of the program")
	flag.StringVar(&o.serve, "serve", "", "address to keep serving on, with the console")
	flag.IntVar(&o.times, "times", 20, "calls of each method")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "records:", err)
		os.Exit(1)
	}
}

type options struct {
	calls, days, times int
	program, serve     string
}

const apiKey = "the-key-of-the-records"

func (o *options) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "beckon-records-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	begin := time.Now()
	if err := o.fill(ctx, dir); err != nil {
		return err
	}
	fmt.Printf("%d call records of %d days, imported in %.0f s\n", o.calls, o.days, time.Since(begin).Seconds())
	address := o.serve
	if address == "" {
		if address, err = freeport.Address(); err != nil {
			return err
		}
	}
	server := exec.CommandContext(ctx, o.program, "serve", "--listen", address, "--data", dir, "--api-key", apiKey,
		"--web", "--console", "--user-rate", "1e6", "--address-rate", "1e6")
	server.Stderr = os.Stderr
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Signal(syscall.SIGTERM) // it may have ended already
		_ = server.Wait()
	}()
	url := "http://" + address
	if err := ready(ctx, url); err != nil {
		return err
	}
	if o.serve != "" {
		fmt.Printf("the console is at %s/console, its key is %s\n", url, apiKey)
		<-ctx.Done()
		return nil
	}
	return o.measure(ctx, url)
}

// fill generates the history and imports it.
func (o *options) fill(ctx context.Context, dir string) error {
	r, w := io.Pipe()
	cmd := exec.CommandContext(ctx, o.program, "import", "--data", dir)
	cmd.Stdin, cmd.Stderr = r, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	imported := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // never fails; ends a write in progress
		imported <- err
	}()
	packed := gzip.NewWriter(w)
	err := newPast(packed, o.calls, o.days).write()
	err = errors.Join(err, packed.Close())
	_ = w.CloseWithError(err) // never fails
	return errors.Join(err, <-imported)
}

func ready(ctx context.Context, url string) error {
	for range 300 {
		res, err := http.Get(url + "/readyz")
		if err == nil {
			_ = res.Body.Close() // only the status is needed
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s is not ready after 30 s", url)
}

// measure measures the methods used by the console.
func (o *options) measure(ctx context.Context, url string) error {
	now := time.Now().UnixMilli()
	day := int64(24 * time.Hour / time.Millisecond)
	fmt.Printf("\n| request | median | slowest of %d |\n|---|---|---|\n", o.times)
	for _, c := range []struct{ name, method, body string }{
		{"figures of a day", "getStats", fmt.Sprintf(`{"from":%d,"until":%d}`, now-day, now)},
		{fmt.Sprintf("figures of %d days", o.days), "getStats",
			fmt.Sprintf(`{"from":%d,"until":%d}`, now-int64(o.days)*day, now)},
		{"the latest 100 calls", "listCalls", `{"limit":100}`},
		{"100 calls of a day in the middle", "listCalls",
			fmt.Sprintf(`{"limit":100,"from":%d,"until":%d}`, now-int64(o.days/2)*day, now-int64(o.days/2-1)*day)},
		{"100 calls of a user", "listCalls", `{"limit":100,"userID":"user-00042"}`},
		{"100 calls of a group", "listCalls", `{"limit":100,"groupID":"team-007"}`},
		{"calls in progress", "listCalls", `{"open":true,"limit":1000}`},
		{"100 users", "listUsers", `{"limit":100}`},
		{"users by ID prefix user-09", "listUsers", `{"limit":100,"userID":"user-09"}`},
		{"100 groups", "listGroups", `{"limit":100}`},
		{"open invitations", "listOpenInvitations", `{"limit":100}`},
	} {
		var took []time.Duration
		for range o.times {
			begin := time.Now()
			if err := call(ctx, url, c.method, c.body); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		fmt.Printf("| %s | %.1f ms | %.1f ms |\n", c.name, ms(took[len(took)/2]), ms(took[len(took)-1]))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func call(ctx context.Context, url, method, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/"+method, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, bytes.TrimSpace(text))
	}
	return err
}

// line is one line of an export.
type line struct {
	Version int    `json:"beckonExport,omitempty"`
	Epoch   string `json:"epoch,omitempty"`
	Table   string `json:"table,omitempty"`
	Row     []any  `json:"row,omitempty"`
	Rows    int64  `json:"end,omitempty"`
}

func encoder(w io.Writer) func(line) error {
	e := json.NewEncoder(w)
	return func(l line) error { return e.Encode(l) }
}
