// Command partitions compares two ways to remove old records from PostgreSQL: the table of records as it is, from which
// retention deletes rows, and a prototype that is partitioned by time, of which it drops partitions. It measures the
// server's cost of writing, removing and reading, and prints tables. docs/adr/0023-retention.md has the results.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/beckon-im/beckon/internal/store"
	"github.com/beckon-im/beckon/internal/store/storetest/pgtest"
)

//go:embed sql/*.sql
var files embed.FS

// text returns a statement.
func text(name string) string {
	b, err := files.ReadFile(path.Join("sql", name+".sql"))
	if err != nil {
		panic(err) // the names are constants
	}
	return string(b)
}

// prototype is a table of records of a size, with a number of partitions.
type prototype struct {
	records, topics int
	partitions      int // 0 = one table
	pg              *pgtest.Server
	conn            *pgx.Conn
}

func main() {
	records := flag.Int("records", 500_000, "records that are written; half of them are removed")
	topics := flag.Int("topics", 2500, "timelines")
	list := flag.String("partitions", "0,8,31,91", "numbers of partitions; 0 = one table, as it is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("%d records of %d timelines, %s\n\n| partitions | write | remove a record | vacuum for it | size of a "+
		"record | read: next 20 | last 20 | a message |\n|---|---|---|---|---|---|---|---|\n", *records, *topics,
		time.Now().UTC().Format(time.DateOnly))
	for number := range strings.SplitSeq(*list, ",") {
		n, err := strconv.Atoi(number)
		if err == nil {
			err = (&prototype{records: *records, topics: *topics, partitions: n}).run(ctx)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "partitions:", err)
			os.Exit(1)
		}
	}
}

func (p *prototype) run(ctx context.Context) (err error) {
	if p.pg, err = pgtest.Start(ctx, true); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.pg.Close()) }()
	if p.conn, err = pgx.Connect(ctx, p.pg.URL("postgres")); err != nil {
		return err
	}
	defer p.conn.Close(context.WithoutCancel(ctx))
	// as Beckon's connections; autovacuum would run at some time in the middle
	for _, set := range []string{"SET jit = off", "SET enable_seqscan = off", "SET enable_hashjoin = off",
		"SET enable_mergejoin = off", "SET synchronous_commit = off", "ALTER SYSTEM SET autovacuum = off",
		text("reload")} {
		if _, err := p.conn.Exec(ctx, set); err != nil {
			return err
		}
	}
	return p.measure(ctx)
}

// measure prints a line of the table.
func (p *prototype) measure(ctx context.Context) error {
	if err := p.create(ctx); err != nil {
		return err
	}
	write, err := p.cost(ctx, p.records, p.fill)
	if err != nil {
		return err
	}
	if _, err := p.conn.Exec(ctx, "VACUUM ANALYZE record"); err != nil { // as autovacuum does after inserts
		return err
	}
	var size int64
	if err := p.conn.QueryRow(ctx, text("size")).Scan(&size); err != nil {
		return err
	}
	var reads []string
	for _, name := range []string{"catchup", "history", "message"} {
		r, err := p.read(ctx, name)
		if err != nil {
			return err
		}
		reads = append(reads, r)
	}
	remove, vacuum, err := p.remove(ctx)
	if err != nil {
		return err
	}
	name := "one table"
	if p.partitions > 0 {
		name = strconv.Itoa(p.partitions)
	}
	fmt.Printf("| %s | %s | %s | %s | %d B | %s |\n", name, write, remove, vacuum, size/int64(p.records),
		strings.Join(reads, " | "))
	if p.partitions > 0 {
		return p.duplicates(ctx)
	}
	return nil
}

// begin is the time of the first record; one follows each millisecond.
const begin = 1_795_000_000_000

func (p *prototype) create(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "partitions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(ctx, store.Options{Dir: dir, Postgres: p.pg.URL("postgres")}) // creates the tables
	if err == nil {
		err = s.Close()
	}
	if err != nil || p.partitions == 0 {
		return err
	}
	if _, err := p.conn.Exec(ctx, text("partitions")); err != nil {
		return err
	}
	for i := range p.partitions {
		from, to := begin+p.records*i/p.partitions, begin+p.records*(i+1)/p.partitions
		if i == p.partitions-1 {
			to += p.records // for the duplicates
		}
		if _, err := p.conn.Exec(ctx, fmt.Sprintf("CREATE TABLE record%d PARTITION OF record FOR VALUES FROM (%d) TO (%d)",
			i, from, to)); err != nil {
			return err
		}
	}
	return nil
}

func (p *prototype) topic(n int) string { return fmt.Sprintf("user:%06d", n*7919%p.topics) }

// fill writes the records, a thousand in each transaction.
func (p *prototype) fill(ctx context.Context) error {
	const batch = 1000
	for n := 0; n < p.records; n += batch {
		var topics, msgs []string
		var seqs, times []int64
		for i := n; i < min(n+batch, p.records); i++ {
			topics, seqs = append(topics, p.topic(i)), append(seqs, int64(i/p.topics+1))
			times, msgs = append(times, int64(begin+i)), append(msgs, strconv.Itoa(i))
		}
		if _, err := p.conn.Exec(ctx, text("insert"), topics, seqs, times, msgs); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the older half of the records: row by row, timeline after timeline, as retention does, and then by
// VACUUM; or partition by partition.
func (p *prototype) remove(ctx context.Context) (remove, vacuum string, err error) {
	if p.partitions > 0 {
		dropped := p.partitions / 2
		remove, err = p.cost(ctx, p.records*dropped/p.partitions, func(ctx context.Context) error {
			for i := range dropped {
				if _, err := p.conn.Exec(ctx, fmt.Sprintf("DROP TABLE record%d", i)); err != nil {
					return err
				}
			}
			return nil
		})
		return remove, "none", err
	}
	if remove, err = p.cost(ctx, p.records/2, p.trim); err != nil {
		return "", "", err
	}
	vacuum, err = p.cost(ctx, p.records/2, func(ctx context.Context) error {
		_, err := p.conn.Exec(ctx, "VACUUM record")
		return err
	})
	return remove, vacuum, err
}

// trim deletes the older half of each timeline, 50 timelines in each transaction.
func (p *prototype) trim(ctx context.Context) error {
	for n := 0; n < p.topics; n += 50 {
		if err := pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
			for i := n; i < min(n+50, p.topics); i++ {
				if _, err := tx.Exec(ctx, text("oldest"), p.topic(i)); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, text("trim"), p.topic(i), p.records/p.topics/2); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// cost returns the processor time and the bytes of the log for each of n records. It begins after a checkpoint, so that
// the log has each page that is changed in full, as it has of pages that were written long ago.
func (p *prototype) cost(ctx context.Context, n int, f func(context.Context) error) (string, error) {
	if _, err := p.conn.Exec(ctx, "CHECKPOINT"); err != nil {
		return "", err
	}
	log, cpu, err := p.spent(ctx)
	if err == nil {
		err = f(ctx)
	}
	if err != nil {
		return "", err
	}
	logAfter, cpuAfter, err := p.spent(ctx)
	return fmt.Sprintf("%.1f µs, %d B of log", float64((cpuAfter-cpu).Microseconds())/float64(n),
		(logAfter-log)/int64(n)), err
}

func (p *prototype) spent(ctx context.Context) (log int64, cpu time.Duration, err error) {
	if err := p.conn.QueryRow(ctx, text("written")).Scan(&log); err != nil {
		return 0, 0, err
	}
	cpu, err = p.pg.CPU()
	return log, cpu, err
}

const readings = 10_000

// read returns the cost of a read of a timeline, with a statement that is prepared once.
func (p *prototype) read(ctx context.Context, name string) (string, error) {
	arg := func(i int) int { // a sequence in the newer half, or the message that has it
		seq := p.records/p.topics - 20
		if name == "message" {
			return (seq-1)*p.topics + i
		}
		return seq
	}
	_, before, err := p.spent(ctx)
	if err != nil {
		return "", err
	}
	for i := range readings {
		rows, err := p.conn.Query(ctx, text(name), p.topic(i), arg(i%p.topics))
		if err != nil {
			return "", err
		}
		if rows.Close(); rows.Err() != nil {
			return "", rows.Err()
		}
		if name == "message" != (rows.CommandTag().RowsAffected() == 1) {
			return "", fmt.Errorf("%s found %d rows", name, rows.CommandTag().RowsAffected())
		}
	}
	_, after, err := p.spent(ctx)
	return fmt.Sprintf("%d µs", (after-before).Microseconds()/readings), err
}

// duplicates writes a sequence and a message once more, with another time.
func (p *prototype) duplicates(ctx context.Context) error {
	last := p.records - 1
	_, err := p.conn.Exec(ctx, text("insert"), []string{p.topic(last)}, []int64{int64(last/p.topics + 1)},
		[]int64{int64(begin + p.records)}, []string{strconv.Itoa(last)})
	if err != nil {
		fmt.Fprintf(os.Stderr, "%d partitions: a second record with the same sequence and message is refused: %v\n",
			p.partitions, err)
		return nil
	}
	fmt.Fprintf(os.Stderr, "%d partitions: a second record with the same sequence and message is accepted\n", p.partitions)
	return nil
}
