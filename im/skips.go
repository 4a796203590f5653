package im

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Skips is a set of running counts, as sorted ranges in text: "3 7-9". It holds the counts of a conversation that
// are no longer unread, so that the number of unread messages stays a subtraction. It is a string so that rows are
// comparable.
//
// Beyond maxSkips ranges the lowest are merged into a total: "25<1500 1503 1507-9" begins with 25 counts of at most
// 1500. Queries above a count remain exact unless it is among those.
type Skips string

// maxSkips limits the ranges of a set.
const maxSkips = 200

type span struct{ from, to int64 }

// skips is a parsed set: count numbers up to upto, and the ranges above.
type skips struct {
	count, upto int64
	spans       []span
}

func (s Skips) parse() (set skips) {
	if s == "" {
		return set
	}
	for part := range strings.SplitSeq(string(s), " ") {
		if count, upto, is := strings.Cut(part, "<"); is {
			set.count, _ = strconv.ParseInt(count, 10, 64) // written by text() only
			set.upto, _ = strconv.ParseInt(upto, 10, 64)
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			continue
		}
		to := from
		if isRange {
			if to, err = strconv.ParseInt(last, 10, 64); err != nil {
				continue
			}
		}
		set.spans = append(set.spans, span{from, to})
	}
	return set
}

func (s skips) text() Skips {
	for len(s.spans) > maxSkips {
		p := s.spans[0]
		s.count, s.upto, s.spans = s.count+p.to-p.from+1, p.to, s.spans[1:]
	}
	var b strings.Builder
	if s.count > 0 {
		b.WriteString(strconv.FormatInt(s.count, 10) + "<" + strconv.FormatInt(s.upto, 10))
	}
	for _, p := range s.spans {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatInt(p.from, 10))
		if p.to > p.from {
			b.WriteByte('-')
			b.WriteString(strconv.FormatInt(p.to, 10))
		}
	}
	return Skips(b.String())
}

// Count returns the number of set elements above after.
func (s Skips) Count(after int64) int64 {
	set := s.parse()
	n := max(0, min(set.count, set.upto-after))
	for _, p := range set.spans {
		n += max(0, p.to-max(p.from-1, after))
	}
	return n
}

// Has reports whether a number is in a range of the set.
func (s Skips) Has(n int64) bool { return has(s.parse().spans, n) }

func has(list []span, n int64) bool {
	return slices.ContainsFunc(list, func(p span) bool { return p.from <= n && n <= p.to })
}

// Add returns the set with n added. A number up to upto must not be added twice.
func (s Skips) Add(n int64) Skips {
	set := s.parse()
	if n <= set.upto {
		set.count++
		return set.text()
	}
	list := set.spans
	if has(list, n) {
		return s
	}
	i, _ := slices.BinarySearchFunc(list, n, func(p span, n int64) int { return cmp.Compare(p.from, n) })
	list = slices.Insert(list, i, span{n, n})
	if i+1 < len(list) && list[i+1].from == n+1 {
		list[i].to = list[i+1].to
		list = slices.Delete(list, i+1, i+2)
	}
	if i > 0 && list[i-1].to == n-1 {
		list[i-1].to = list[i].to
		list = slices.Delete(list, i, i+1)
	}
	set.spans = list
	return set.text()
}

// Union returns the union of both sets. Their elements up to upto must be disjoint.
func (s Skips) Union(t Skips) Skips {
	if s == "" || t == "" {
		return s + t
	}
	a, b := s.parse(), t.parse()
	list := append(a.spans, b.spans...)
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := list[:min(1, len(list))]
	for _, p := range list[len(merged):] {
		if last := &merged[len(merged)-1]; p.from <= last.to+1 {
			last.to = max(last.to, p.to)
		} else {
			merged = append(merged, p)
		}
	}
	set := skips{count: a.count + b.count, upto: max(a.upto, b.upto)}
	for _, p := range merged {
		if low := min(p.to, set.upto); low >= p.from { // merge ranges up to upto into the total of both sets
			set.count += low - p.from + 1
			p.from = low + 1
		}
		if p.from <= p.to {
			set.spans = append(set.spans, p)
		}
	}
	return set.text()
}

// Remove returns the set without n, which must be in it.
func (s Skips) Remove(n int64) Skips {
	set := s.parse()
	if n <= set.upto {
		set.count = max(0, set.count-1)
		return set.text()
	}
	var list []span
	for _, p := range set.spans {
		if n < p.from || n > p.to {
			list = append(list, p)
			continue
		}
		if p.from < n {
			list = append(list, span{p.from, n - 1})
		}
		if n < p.to {
			list = append(list, span{n + 1, p.to})
		}
	}
	set.spans = list
	return set.text()
}

// Above returns the elements above after.
func (s Skips) Above(after int64) Skips {
	set := s.parse()
	above := skips{count: max(0, min(set.count, set.upto-after)), upto: set.upto}
	for _, p := range set.spans {
		if p.to > after {
			above.spans = append(above.spans, span{max(p.from, after+1), p.to})
		}
	}
	return above.text()
}

// settle advances a read count over directly following elements, and removes elements up to the new count.
func (s Skips) settle(read int64) (int64, Skips) {
	if s == "" {
		return read, s
	}
	set := s.parse()
	if set.upto > read && set.count >= set.upto-read {
		read = set.upto
	}
	for _, p := range set.spans {
		if p.from <= read+1 && p.to > read {
			read = p.to
		}
	}
	return read, s.Above(read)
}
