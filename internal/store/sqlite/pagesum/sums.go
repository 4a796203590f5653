// Package pagesum keeps a checksum of each page of an SQLite database in a file beside it, so that a page that was
// changed by anything but SQLite is found when it is read. SQLite has checksums only in its log.
package pagesum

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	// Suffix follows the name of the database in that of the file of its checksums.
	Suffix = "-sums"
	// PageSize is the size of the pages that have checksums.
	PageSize = 4096

	magic = "BECKONS1" // fills the first four bytes of two checksums' places

	block  = 1024 // checksums that are written together
	maxBad = 100  // pages that are named
)

// Sums has the checksums of a database's pages. The file has the magic, padded to a block, and then four bytes for each
// page, little-endian: the CRC-32C of the page's number and content; 0 = unknown.
//
// New checksums become durable before the pages: until both are, the pages are in SQLite's log, and are not read from
// the database.
type Sums struct {
	path string   // of the database, without symbolic links, as SQLite has it
	db   *os.File // open for as long as SQLite: where the kernel has old locks only, closing it ends SQLite's locks
	file *os.File

	mu      sync.RWMutex // also held while a page is written
	sums    []uint32
	dirty   map[int]bool // blocks to write
	bad     []int64      // pages that differ from their checksum
	watched bool         // SQLite has opened the database with the VFS

	writing sync.Mutex // one Sync at a time
}

// ErrNotSynced is the error of a sync of the checksums that failed: their content on the disk is unknown.
var ErrNotSynced = errors.New("the checksums could not be synced")

// Open reads the checksums of a database, which must exist, or creates their file. From now on the VFS verifies the
// pages of the database that this process reads.
func Open(database string) (*Sums, error) {
	path, err := filepath.Abs(database)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, err
	}
	s := &Sums{path: path, dirty: map[int]bool{}}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("%s: %w", path+Suffix, err)
	}
	opened.Store(path, s)
	return s, nil
}

func (s *Sums) open() (err error) {
	name := s.path + Suffix
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		if err := createFile(name); err != nil {
			return err
		}
	}
	if s.file, err = os.OpenFile(name, os.O_RDWR, 0o600); err != nil {
		return err
	}
	if s.db, err = os.Open(s.path); err != nil {
		return errors.Join(err, s.file.Close())
	}
	if err := s.load(); err != nil {
		return errors.Join(err, s.file.Close(), s.db.Close())
	}
	return nil
}

// createFile creates a file of checksums, whole or not at all.
func createFile(name string) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append([]byte(magic), make([]byte, block*4-len(magic))...))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(name+".new", name)
	}
	return err
}

func (s *Sums) load() error {
	b, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	if len(b) < block*4 || !bytes.HasPrefix(b, []byte(magic)) {
		return errors.New("this is not a file of checksums; remove it: it is made again, and damage until then is not found")
	}
	for at := block * 4; at+4 <= len(b); at += 4 {
		s.sums = append(s.sums, binary.LittleEndian.Uint32(b[at:]))
	}
	return nil
}

// Close writes the checksums and closes their file. SQLite must have closed the database.
func (s *Sums) Close() error {
	opened.Delete(s.path)
	return errors.Join(s.Sync(), s.file.Close(), s.db.Close())
}

// Watched reports whether SQLite has opened the database with the VFS.
func (s *Sums) Watched() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.watched
}

func sumOf(page int64, b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	number := binary.LittleEndian.AppendUint64(make([]byte, 0, 8), uint64(page))
	return max(crc32.Update(crc32.Checksum(number, table), table, b), 1)
}

// check reports whether a page has its checksum. The first page has number 0.
func (s *Sums) check(page int64, b []byte) bool {
	s.mu.RLock()
	known := page < int64(len(s.sums)) && s.sums[page] != 0
	ok := !known || s.sums[page] == sumOf(page, b)
	s.mu.RUnlock()
	if !ok {
		s.mu.Lock()
		s.report(page)
		s.mu.Unlock()
	}
	return ok
}

func (s *Sums) report(page int64) {
	if len(s.bad) < maxBad && !slices.Contains(s.bad, page) {
		s.bad = append(s.bad, page)
	}
}

// set notes the checksum of a page. The caller holds the lock.
func (s *Sums) set(page int64, sum uint32) {
	if missing := int(page) + 1 - len(s.sums); missing > 0 {
		s.sums = append(s.sums, make([]uint32, missing)...)
	}
	s.bad = slices.DeleteFunc(s.bad, func(p int64) bool { return p == page })
	if s.sums[page] == sum {
		return
	}
	s.sums[page] = sum
	s.dirty[int(page/block)] = true
}

// written notes the content of a page, or of a part of one, that SQLite has written. The caller holds the lock.
func (s *Sums) written(at int64, b []byte) {
	if at%PageSize == 0 && len(b) == PageSize {
		s.set(at/PageSize, sumOf(at/PageSize, b))
		return
	}
	for page := at / PageSize; page*PageSize < at+int64(len(b)); page++ {
		s.set(page, 0)
	}
}

// Sync makes the checksums durable. Pages are read and written meanwhile. The error is ErrNotSynced if the content of
// the disk is unknown; otherwise a repetition may succeed.
func (s *Sums) Sync() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	blocks := s.take()
	if len(blocks) == 0 {
		return nil
	}
	var err error
	for n, b := range blocks {
		if _, err = s.file.WriteAt(b, int64(n+1)*block*4); err != nil {
			break
		}
	}
	if err == nil {
		if err = s.file.Sync(); err != nil {
			err = fmt.Errorf("%w: %w", ErrNotSynced, err)
		}
	}
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for n := range blocks {
			s.dirty[n] = true
		}
	}
	return err
}

// take returns the blocks to write.
func (s *Sums) take() map[int][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	blocks := make(map[int][]byte, len(s.dirty))
	for n := range s.dirty {
		var b []byte
		for _, sum := range s.sums[n*block : min((n+1)*block, len(s.sums))] {
			b = binary.LittleEndian.AppendUint32(b, sum)
		}
		blocks[n] = b
	}
	clear(s.dirty)
	return blocks
}

// Bad returns the pages that were read and differ from their checksum.
func (s *Sums) Bad() []int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.bad)
}

// Verify reads the whole database, records pages that differ from their checksum, and learns unknown checksums.
// SQLite's log must have been moved to the database before. pause is called after each MiB.
func (s *Sums) Verify(ctx context.Context, pause func(context.Context) error) error {
	b := make([]byte, PageSize)
	for page := int64(0); ; page++ {
		if err := s.verify(page, b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if page%256 == 255 {
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
}

func (s *Sums) verify(page int64, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.db.ReadAt(b, page*PageSize); err != nil {
		return err
	}
	sum := sumOf(page, b)
	switch {
	case page >= int64(len(s.sums)) || s.sums[page] == 0:
		s.set(page, sum)
	case s.sums[page] != sum:
		s.report(page)
	}
	return nil
}
