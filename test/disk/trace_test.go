package disk

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// op is a system call that changes files of a directory, or makes changes durable.
type op struct {
	at     time.Time
	call   string
	path   string // relative to the directory; "." = the directory itself
	to     string // of a rename
	data   []byte
	offset int64 // of a write, or the length of a truncated file; -1 = at the end
	covers int   // of a sync: how many operations were complete when it began
	failed bool  // of a sync
}

var (
	callForm = regexp.MustCompile(`^(\d+) +(\d+\.\d+) (\w+)\((.*)\) += (-?\d+)`)
	fdForm   = regexp.MustCompile(`^\d+<([^>]*)>`)
	textForm = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
)

// readTrace reads the output of strace -f -y -xx -ttt.
func readTrace(file, dir string) (ops []op, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 1<<20), 256<<20)
	begun := map[string]string{} // by process, calls that have not returned
	covers := map[string]int{}
	for lines.Scan() {
		line := lines.Text()
		pid, rest, _ := strings.Cut(line, " ")
		if head, ok := strings.CutSuffix(line, " <unfinished ...>"); ok {
			begun[pid], covers[pid] = head, len(ops)
			continue
		}
		before := len(ops)
		if _, tail, ok := strings.Cut(rest, " resumed>"); ok && strings.Contains(rest, "<... ") {
			line, before = begun[pid]+tail, covers[pid]
		}
		o, ok, err := parse(line, dir)
		if err != nil {
			return nil, err
		}
		if o.covers = before; ok {
			ops = append(ops, o)
		}
	}
	return ops, lines.Err()
}

// plain decodes a text of strace.
func plain(text string) string {
	b := make([]byte, 0, len(text)/4)
	for i := 0; i+3 < len(text); i += 4 {
		n, _ := strconv.ParseUint(text[i+2:i+4], 16, 8)
		b = append(b, byte(n))
	}
	return string(b)
}

func parse(line, dir string) (o op, ok bool, err error) {
	m := callForm.FindStringSubmatch(line)
	if m == nil {
		return o, false, nil
	}
	seconds, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return o, false, err
	}
	o.at, o.call = time.UnixMicro(int64(seconds*1e6)), m[3]
	result, _ := strconv.ParseInt(m[5], 10, 64)
	args := m[4]
	inside := func(path string) (string, bool) {
		rel, err := filepath.Rel(dir, path)
		return rel, err == nil && !strings.HasPrefix(rel, "..")
	}
	var texts []string
	for _, t := range textForm.FindAllStringSubmatch(args, -1) {
		texts = append(texts, plain(t[1]))
	}
	if fd := fdForm.FindStringSubmatch(args); fd != nil {
		o.path, ok = inside(plain(fd[1]))
	}
	switch o.call {
	case "open", "openat", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat":
		if len(texts) == 0 {
			return o, false, nil
		}
		if o.path, ok = inside(texts[0]); !ok || result < 0 {
			return o, false, nil
		}
		if len(texts) > 1 {
			o.to, _ = inside(texts[1])
		}
		if strings.HasPrefix(o.call, "open") {
			create, cut := strings.Contains(args, "O_CREAT"), strings.Contains(args, "O_TRUNC")
			switch o.call = "create"; {
			case cut:
				o.call = "cut"
			case !create:
				return o, false, nil
			}
		}
	case "write", "pwrite64":
		if !ok || result <= 0 || len(texts) == 0 {
			return o, false, nil
		}
		if o.data, o.offset = []byte(texts[0][:min(int64(len(texts[0])), result)]), -1; o.call == "pwrite64" {
			o.offset, err = strconv.ParseInt(args[strings.LastIndex(args, " ")+1:], 10, 64)
		}
		o.call = "write"
	case "ftruncate":
		o.offset, err = strconv.ParseInt(args[strings.LastIndex(args, " ")+1:], 10, 64)
	case "fsync", "fdatasync":
		o.call, o.failed = "sync", result < 0
	}
	return o, ok && err == nil, err
}

// change is a change of a file that is not durable.
type change struct {
	number int // of the operation
	offset int64
	data   []byte // nil = the file gets the length offset
}

// inode is a file: its durable content, and the changes that a power cut may undo.
type inode struct {
	durable []byte
	length  int64 // with all changes
	pending []change
}

// name is a change of a directory: the path names the file; nil = it names none.
type name struct {
	number int
	path   string
	file   *inode
}

// disk is the state of a file system after a number of operations. strict disks make names durable only with a sync of
// the directory, others also with that of any file, in order, as ext4 does.
type disk struct {
	strict  bool
	names   map[string]*inode // as programs see them
	durable map[string]*inode
	pending []name
	random  *rand.Rand
}

func newDisk(strict bool, files map[string][]byte, random *rand.Rand) *disk {
	d := &disk{strict: strict, names: map[string]*inode{}, durable: map[string]*inode{}, random: random}
	for path, b := range files {
		d.names[path] = &inode{durable: bytes.Clone(b), length: int64(len(b))} // it is changed in place
	}
	d.durable = maps.Clone(d.names)
	return d
}

func (d *disk) do(number int, o op) error {
	file := d.names[o.path]
	if file == nil && (o.call == "write" || o.call == "ftruncate" || o.call == "sync" && o.path != ".") {
		return fmt.Errorf("%s of %s, which does not exist", o.call, o.path)
	}
	switch o.call {
	case "create", "cut":
		if file == nil {
			d.rename(number, o.path, &inode{})
		} else if o.call == "cut" {
			file.change(change{number: number})
		}
	case "write":
		if o.offset < 0 {
			o.offset = file.length
		}
		file.change(change{number, o.offset, o.data})
	case "ftruncate":
		file.change(change{number: number, offset: o.offset})
	case "linkat":
		d.rename(number, o.to, file)
	case "rename", "renameat", "renameat2":
		d.rename(number, o.to, file)
		d.rename(number, o.path, nil)
	case "unlink", "unlinkat":
		d.rename(number, o.path, nil)
	case "sync":
		d.sync(file, o)
	}
	return nil
}

func (f *inode) change(c change) {
	f.pending = append(f.pending, c)
	if f.length = max(f.length, c.offset+int64(len(c.data))); c.data == nil {
		f.length = c.offset
	}
}

func (d *disk) rename(number int, path string, file *inode) {
	if d.pending = append(d.pending, name{number, path, file}); file == nil {
		delete(d.names, path)
		return
	}
	d.names[path] = file
}

// sync makes changes durable that were complete when it began. A failed one drops some of them for good, as the kernel
// does with pages that it could not write.
func (d *disk) sync(file *inode, o op) {
	if file != nil {
		var later []change
		for _, c := range file.pending {
			switch {
			case c.number >= o.covers:
				later = append(later, c)
			case !o.failed || d.random.IntN(2) == 0:
				file.durable = c.apply(file.durable, nil, 0)
			}
		}
		file.pending = later
	}
	if o.failed || file != nil && d.strict {
		return
	}
	var later []name
	for _, n := range d.pending {
		if n.number >= o.covers {
			later = append(later, n)
			continue
		}
		d.settle(d.durable, n)
	}
	d.pending = later
}

func (d *disk) settle(names map[string]*inode, n name) {
	if n.file == nil {
		delete(names, n.path)
		return
	}
	names[n.path] = n.file
}

// apply changes the content of a file. With random, of each sector the old or the new content stays.
func (c change) apply(b []byte, random *rand.Rand, sector int) []byte {
	if c.data == nil {
		if random != nil && random.IntN(2) == 0 {
			return b
		}
		if int64(len(b)) > c.offset {
			return b[:c.offset:c.offset]
		}
		return append(b, make([]byte, c.offset-int64(len(b)))...)
	}
	part := 0 // none, all, or some of the sectors
	if random != nil {
		part = random.IntN(3)
	}
	if part == 1 {
		return b
	}
	if missing := c.offset + int64(len(c.data)) - int64(len(b)); missing > 0 {
		b = append(b, make([]byte, missing)...)
	}
	for at := 0; at < len(c.data); {
		end := len(c.data)
		if sector > 0 {
			end = min(end, at+sector-int((c.offset+int64(at))%int64(sector)))
		}
		if part == 0 || random.IntN(2) == 0 {
			copy(b[c.offset+int64(at):], c.data[at:end])
		}
		at = end
	}
	return b
}

// cut returns the files that a power cut may leave.
func (d *disk) cut(sector int) map[string][]byte {
	names := maps.Clone(d.durable)
	some := d.random.IntN(len(d.pending) + 1)
	for i, n := range d.pending {
		if d.strict && d.random.IntN(2) == 0 || !d.strict && i < some {
			d.settle(names, n)
		}
	}
	files := map[string][]byte{}
	for path, file := range names {
		b := append([]byte(nil), file.durable...)
		for _, c := range file.pending {
			b = c.apply(b, d.random, sector)
		}
		files[path] = b
	}
	return files
}
