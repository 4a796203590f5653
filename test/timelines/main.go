// Command timelines measures retention in a database of ten million timelines, on SQLite or PostgreSQL: a pass
// without due rows, and the removal of due records from as many timelines. docs/performance.md has the results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/sqldb"
	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/retention"
	"github.com/beckon-im/beckon/test/database"
)

const (
	perCommit = 20_000
	passes    = 20 // without due rows
	age       = 30 * 24 * time.Hour
)

func main() {
	timelines := flag.Int("timelines", 10_000_000, "number of timelines with one record each that is not due")
	due := flag.Int("due", 100_000, "number of further timelines with one due record each")
	engine := flag.String("engine", "sqlite", "sqlite or postgres")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *engine, *timelines, *due); err != nil {
		fmt.Fprintln(os.Stderr, "timelines:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, engine string, timelines, due int) (err error) {
	db, err := database.New(ctx, engine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := store.Open(ctx, db.Options)
	if err != nil {
		return err
	}
	if err := fill(ctx, s, "kept", timelines, s.Now()); err != nil {
		return errors.Join(err, s.Close())
	}
	if err := fill(ctx, s, "due", due, s.Now()-2*age.Milliseconds()); err != nil {
		return errors.Join(err, s.Close())
	}
	stop := database.Run(ctx, s)
	defer func() { err = errors.Join(err, stop()) }()
	r := retention.New(s, retention.Options{Age: age})
	begin := time.Now()
	if err := r.Pass(ctx); err != nil {
		return err
	}
	removal := time.Since(begin)
	if lag := r.Lag(ctx); lag != 0 {
		return fmt.Errorf("after the removal, the lag is %v", lag)
	}
	var idle []time.Duration
	for range passes {
		begin := time.Now()
		if err := r.Pass(ctx); err != nil {
			return err
		}
		idle = append(idle, time.Since(begin))
	}
	slices.Sort(idle)
	rate := float64(due) / removal.Seconds()
	fmt.Printf("%s, %d timelines, %s\n\n| due records, each on another timeline | duration of removal | records/s | "+
		"duration for 1,000,000 | pass without due rows: median | longest of %d |\n|---|---|---|---|---|---|\n", engine,
		timelines, time.Now().UTC().Format(time.DateOnly), passes)
	fmt.Printf("| %d | %.1f s | %.0f | %.0f s | %.1f ms | %.1f ms |\n\n", due, removal.Seconds(), rate, 1e6/rate,
		ms(idle[passes/2]), ms(idle[passes-1]))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// fill writes timelines of one record each.
func fill(ctx context.Context, s *store.Store, name string, n int, at int64) error {
	text := strings.Repeat("word ", 20)
	for have := 0; have < n; {
		if err := s.Once(ctx, func(sess *sqldb.Session) error {
			w := database.Writer{Session: sess, At: at}
			for range min(perCommit, n-have) {
				w.Add(im.UserTopic(fmt.Sprintf("%s%08d", name, have)), "", "", fmt.Sprintf(
					`{"type":"message","messageType":"text","from":"another","text":%q}`, text), true)
				have++
			}
			return w.Flush(ctx)
		}); err != nil {
			return err
		}
		if have%1_000_000 == 0 {
			fmt.Fprintf(os.Stderr, "%d timelines\n", have)
		}
	}
	return nil
}
