package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/beckon-im/beckon/internal/store/sqlite/journal"
	"github.com/beckon-im/beckon/internal/store/sqlite/pagesum"
)

const (
	verifyAtOnce = 256 << 20 // bytes of a database that is verified before it is used; a larger one is verified behind
	verifyPause  = 20 * time.Millisecond
)

// openSums opens the checksums of a database, and returns the VFS that verifies them.
func (d *DB) openSums(ctx context.Context, file string) (vfs string, err error) {
	if d.noSync { // the checksums of a crashed server would be older than its pages
		if err := os.Remove(file + pagesum.Suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		return "", nil
	}
	version, err := schemaVersion(ctx, file)
	if err == nil && version < withSums { // an earlier program may have written pages since they were made
		err = os.Remove(file + pagesum.Suffix)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		vfs, err = pagesum.VFS()
	}
	if err == nil {
		d.sums, err = pagesum.Open(file)
	}
	return vfs, err
}

// withSums is the schema from which on every program keeps the checksums.
const withSums = 14

// schemaVersion reads the version of a database, and leaves its log as it is; 0 = it has none.
func schemaVersion(ctx context.Context, file string) (version int64, err error) {
	db, err := sql.Open("sqlite", fileURL(file)+readOnly)
	if err != nil {
		return 0, err
	}
	if db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&version) != nil {
		version = 0 // a new database, or a damaged one, which is found when it is used
	}
	return version, db.Close()
}

// verifyPages verifies the pages of a small database. Run does it for a large one.
func (d *DB) verifyPages(ctx context.Context) error {
	if d.sums == nil {
		return nil
	}
	if !d.sums.Watched() {
		return errors.New("SQLite has opened the database by another path than " + filepath.Join(d.dir, File))
	}
	// of a page in the log, the database may have an older or torn version
	var busy, frames, moved int64
	if err := d.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return nil // another program reads an old version; reads are verified
	}
	if d.unverified = d.size(File) > verifyAtOnce; d.unverified {
		return nil
	}
	if err := d.sums.Verify(ctx, func(context.Context) error { return nil }); err != nil {
		return err
	}
	return d.pageFault()
}

// verifyBehind verifies the pages of a large database while it is used.
func (d *DB) verifyBehind(ctx context.Context) {
	pause := func(ctx context.Context) error {
		select {
		case <-time.After(verifyPause):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := d.sums.Verify(ctx, pause); err != nil && ctx.Err() == nil {
		d.log.Warn("database not verified", "error", err)
	}
}

// pageFault describes the pages that differ from their checksums; nil = none is known.
func (d *DB) pageFault() error {
	if d.sums == nil {
		return nil
	}
	bad := d.sums.Bad()
	if len(bad) == 0 {
		return nil
	}
	return &PageFault{Path: filepath.Join(d.dir, File), Pages: bad}
}

// explain returns the damage of pages, if any was found, instead of the error of the query that read one.
func (d *DB) explain(err error) error { return cmp.Or(d.pageFault(), err) }

// PageFault is a database with pages that differ from their checksums.
type PageFault struct {
	Path  string
	Pages []int64 // the first one has number 0
}

func (f *PageFault) Error() string {
	var b strings.Builder
	for i, page := range f.Pages {
		if i == 10 {
			fmt.Fprintf(&b, " and %d more", len(f.Pages)-i)
			break
		}
		fmt.Fprintf(&b, " %d", page+1)
	}
	return fmt.Sprintf("%s is damaged: the pages%s (of %d bytes) differ from their checksums: the disk or another "+
		"program changed them. Restore a backup. If another program wrote the file on purpose, remove %s%s, and the pages "+
		"are taken as they are",
		f.Path, b.String(), pagesum.PageSize, File, pagesum.Suffix)
}

// Damage lists the damage of the file.
func (d *DB) Damage(ctx context.Context) (list []string, err error) {
	if fault := d.pageFault(); fault != nil {
		list = append(list, fault.Error())
	}
	aside, err := journal.Aside(d.dir)
	if err != nil {
		return nil, err
	}
	if len(aside) > 0 {
		list = append(list, fmt.Sprintf("%d commits were refused by the database and set aside (%s*): see beckon aside",
			len(aside), journal.AsidePrefix))
	}
	var verdict string
	if err := d.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		if len(list) == 0 {
			return nil, err
		}
	} else if verdict != "ok" {
		list = append(list, "the database file is damaged: "+verdict)
	}
	return list, nil
}
