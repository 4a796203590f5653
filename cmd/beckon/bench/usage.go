package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// listener returns the process that listens on the server's port on this machine; 0 if there is none.
func listener(server string) int {
	u, err := url.Parse(server)
	if err != nil {
		return 0
	}
	port, _ := strconv.Atoi(u.Port())
	inode := ""
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		p := strings.Fields(s.Text())
		if len(p) > 9 && p[3] == "0A" && strings.HasSuffix(p[1], fmt.Sprintf(":%04X", port)) {
			inode = p[9]
		}
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && inode != "" && to == "socket:["+inode+"]" {
			pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
			return pid
		}
	}
	return 0
}

// usage is the resources spent up to a time.
type usage struct {
	at    time.Time
	cpu   time.Duration
	also  map[string]time.Duration
	store map[string]float64 // the servers' counters of the database and of memory
}

// live returns the bytes of live objects and stacks; it includes garbage unless the servers have just collected it.
func (u usage) live() float64 {
	return u.store["go_memstats_heap_alloc_bytes"] + u.store["go_memstats_stack_inuse_bytes"]
}

// collected returns the usage after the servers have collected garbage.
func (b *bench) collected(ctx context.Context) usage {
	for _, addr := range b.cmd.Collect {
		for range 2 { // the first does not empty pools and finalizers
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/debug/pprof/heap?gc=1", http.NoBody)
			if err != nil {
				continue
			}
			if res, err := b.web.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		}
	}
	return b.usage()
}

func (b *bench) usage() usage {
	u := usage{at: time.Now(), cpu: cpuTime(b.cmd.PID...), also: map[string]time.Duration{}, store: map[string]float64{}}
	for name, pid := range b.cmd.Also {
		root, _ := strconv.Atoi(strings.TrimSuffix(pid, "+"))
		if pids := []int{root}; !strings.HasSuffix(pid, "+") {
			u.also[name] = cpuTime(pids...)
		} else {
			u.also[name] = cpuTime(family(root)...)
		}
	}
	for _, s := range b.cmd.Server {
		b.counters(s, u.store)
	}
	return u
}

// counters adds the counters of a server; SQLite has none of the database.
func (b *bench) counters(server string, sum map[string]float64) {
	res, err := b.web.Get(server + "/metrics")
	if err != nil {
		return
	}
	defer res.Body.Close()
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		name, value, ok := strings.Cut(s.Text(), " ")
		if n, err := strconv.ParseFloat(value, 64); ok && err == nil && (strings.HasPrefix(name, "beckon_store_") ||
			strings.HasPrefix(name, "go_memstats_")) {
			sum[name] += n
		}
	}
}

// spent fills in the cost of each flow.
func (r *benchResult) spent(from, to usage) {
	flows := float64(r.Flows)
	r.CPUPerFlow = float64((to.cpu - from.cpu).Microseconds()) / flows
	for name := range to.also {
		if r.AlsoPerFlow == nil {
			r.AlsoPerFlow = map[string]float64{}
		}
		r.AlsoPerFlow[name] = float64((to.also[name] - from.also[name]).Microseconds()) / flows
	}
	more := func(name string) float64 { return to.store[name] - from.store[name] }
	r.TripsPerFlow = more("beckon_store_round_trips_total") / flows
	r.BytesPerFlow = (more("beckon_store_sent_bytes_total") + more("beckon_store_received_bytes_total")) / flows
	if n := more("beckon_store_batches_total"); n > 0 {
		r.UnitsPerBatch = more("beckon_store_units_total") / n
	}
}

// connected fills in the cost of each connect.
func (r *benchResult) connected(from, to usage) {
	users := float64(r.Users)
	r.CPUPerConnect = float64((to.cpu - from.cpu).Microseconds()) / users
	r.TripsPerUser = (to.store["beckon_store_round_trips_total"] - from.store["beckon_store_round_trips_total"]) / users
}

// stat returns the fields of /proc/PID/stat from the state on; nil if the process has ended.
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
}

// family returns a process and its descendants.
func family(pid int) []int {
	children := map[int][]int{}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		id, _ := strconv.Atoi(filepath.Base(dir))
		if p := stat(id); len(p) > 1 {
			parent, _ := strconv.Atoi(p[1])
			children[parent] = append(children[parent], id)
		}
	}
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		list = append(list, children[list[i]]...)
	}
	return list
}

// cpuTime returns the time that processes ran.
func cpuTime(pids ...int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		if ran, ok := ranTime(pid); ok {
			sum += ran
		} else if p := stat(pid); len(p) > 12 {
			user, _ := strconv.ParseInt(p[11], 10, 64)
			sys, _ := strconv.ParseInt(p[12], 10, 64)
			sum += time.Duration(user+sys) * time.Second / 100 // the kernel's unit is 10 ms
		}
	}
	return sum
}

// ranTime returns the sum of its threads' times in nanoseconds, which kernels with scheduler statistics have. Times in
// ticks are samples, and wrong by a factor for a process that runs for less than a tick at once.
func ranTime(pid int) (sum time.Duration, ok bool) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range threads {
		b, _ := os.ReadFile(file)
		first, _, _ := strings.Cut(string(b), " ")
		if ns, err := strconv.ParseInt(first, 10, 64); err == nil {
			sum += time.Duration(ns)
		}
	}
	return sum, sum > 0 // 0 if the kernel counts nothing
}

// residentBytes returns the resident memory of processes.
func residentBytes(pids ...int) int64 {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
		sum += pages * int64(os.Getpagesize())
	}
	return sum
}
