package pagesum

import (
	"errors"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite's table of file systems (VFS) is one for the process, and so are the tables of this file. The file system here
// is the default one with four functions of the files of databases replaced.
var (
	register = sync.OnceValue(registerVFS)
	opened   sync.Map // path of a database -> *Sums
	files    sync.Map // address of an open file -> *file
	tables   sync.Map // address of a table of functions -> that of its copy
)

// name is the name of the VFS.
const name = "beckon-sums"

// VFS registers the file system that verifies checksums, and returns its name for the parameter vfs of a database's
// URL.
func VFS() (string, error) { return name, register() }

// file is an open database.
type file struct {
	sums *Sums
	base *sqlite3.Tsqlite3_io_methods // the functions of the default file system
}

type (
	openFunc  = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	closeFunc = func(tls *libc.TLS, file uintptr) int32
	pageFunc  = func(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32
	syncFunc  = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// at converts an address outside of Go's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// call returns the function with an address, as SQLite keeps them.
func call[F any](address uintptr) F { return *(*F)(unsafe.Pointer(&address)) }

// address returns the address of a function, as SQLite keeps them.
func address[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func registerVFS() error {
	tls := libc.NewTLS()
	defer tls.Close()
	if rc := sqlite3.Xsqlite3_initialize(tls); rc != sqlite3.SQLITE_OK {
		return errors.New("SQLite does not initialize")
	}
	base := sqlite3.Xsqlite3_vfs_find(tls, 0)
	text, err := libc.CString(name)
	if err != nil {
		return err
	}
	// SQLite keeps both for as long as the process lives
	copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
	if base == 0 || copied == 0 {
		return errors.New("SQLite has no file system")
	}
	vfs := at[sqlite3.Tsqlite3_vfs](copied)
	*vfs = *at[sqlite3.Tsqlite3_vfs](base)
	vfs.FxOpen, vfs.FzName, vfs.FpNext = address(openFunc(openFile)), text, 0
	if rc := sqlite3.Xsqlite3_vfs_register(tls, copied, 0); rc != sqlite3.SQLITE_OK {
		return errors.New("SQLite does not take the file system")
	}
	return nil
}

func openFile(tls *libc.TLS, _, name, f uintptr, flags int32, outFlags uintptr) int32 {
	base := sqlite3.Xsqlite3_vfs_find(tls, 0)
	rc := call[openFunc](at[sqlite3.Tsqlite3_vfs](base).FxOpen)(tls, base, name, f, flags, outFlags)
	if rc == sqlite3.SQLITE_OK && flags&sqlite3.SQLITE_OPEN_MAIN_DB != 0 && name != 0 {
		watch(tls, libc.GoString(name), f)
	}
	return rc
}

// watch replaces functions of an open database that has checksums.
func watch(tls *libc.TLS, path string, f uintptr) {
	sums, ok := opened.Load(path)
	if !ok {
		return
	}
	head := at[sqlite3.Tsqlite3_file](f)
	base := head.FpMethods
	table, ok := tables.Load(base)
	if !ok {
		copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
		if copied == 0 {
			return
		}
		methods := at[sqlite3.Tsqlite3_io_methods](copied)
		*methods = *at[sqlite3.Tsqlite3_io_methods](base)
		methods.FiVersion = min(methods.FiVersion, 2) // later versions can read pages without a call
		methods.FxRead, methods.FxWrite = address(pageFunc(read)), address(pageFunc(write))
		methods.FxSync, methods.FxClose = address(syncFunc(syncFile)), address(closeFunc(closeFile))
		table, _ = tables.LoadOrStore(base, copied)
	}
	sums.(*Sums).setWatched()
	files.Store(f, &file{sums: sums.(*Sums), base: at[sqlite3.Tsqlite3_io_methods](base)})
	head.FpMethods = table.(uintptr)
}

func (s *Sums) setWatched() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = true
}

func fileOf(f uintptr) *file {
	v, _ := files.Load(f)
	return v.(*file)
}

func bytesAt(buf uintptr, n int32) []byte { return unsafe.Slice(at[byte](buf), n) }

func read(tls *libc.TLS, f, buf uintptr, n int32, offset int64) int32 {
	file := fileOf(f)
	rc := call[pageFunc](file.base.FxRead)(tls, f, buf, n, offset)
	if rc == sqlite3.SQLITE_OK && n == PageSize && offset%PageSize == 0 &&
		!file.sums.check(offset/PageSize, bytesAt(buf, n)) {
		return sqlite3.SQLITE_IOERR_DATA
	}
	return rc
}

func write(tls *libc.TLS, f, buf uintptr, n int32, offset int64) int32 {
	file := fileOf(f)
	file.sums.mu.Lock()
	defer file.sums.mu.Unlock()
	rc := call[pageFunc](file.base.FxWrite)(tls, f, buf, n, offset)
	if rc == sqlite3.SQLITE_OK {
		file.sums.written(offset, bytesAt(buf, n))
	}
	return rc
}

func syncFile(tls *libc.TLS, f uintptr, flags int32) int32 {
	file := fileOf(f)
	if err := file.sums.Sync(); errors.Is(err, ErrNotSynced) {
		return sqlite3.SQLITE_IOERR_FSYNC
	} else if err != nil {
		return sqlite3.SQLITE_FULL // most likely
	}
	return call[syncFunc](file.base.FxSync)(tls, f, flags)
}

func closeFile(tls *libc.TLS, f uintptr) int32 {
	file := fileOf(f)
	files.Delete(f)
	return call[closeFunc](file.base.FxClose)(tls, f)
}
