package im

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Skips is a set of numbers, as sorted ranges in text: "3 7-9". A side of a conversation keeps in it what counted as unread and no
// longer does, so that unread stays a subtraction. It is a string so that rows stay comparable.
type Skips string

// maxSkips bounds the ranges of one set. Beyond it the lowest are dropped: the count is then too high until the side is read.
const maxSkips = 200

type span struct{ from, to int64 }

func (s Skips) spans() []span {
	if s == "" {
		return nil
	}
	var list []span
	for part := range strings.SplitSeq(string(s), " ") {
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
		list = append(list, span{from, to})
	}
	return list
}

func skipsOf(list []span) Skips {
	list = list[max(0, len(list)-maxSkips):]
	var b strings.Builder
	for i, p := range list {
		if i > 0 {
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

// Count returns how many numbers above after are in the set.
func (s Skips) Count(after int64) (n int64) {
	for _, p := range s.spans() {
		n += max(0, p.to-max(p.from-1, after))
	}
	return n
}

// Has reports whether a number is in the set.
func (s Skips) Has(n int64) bool {
	return slices.ContainsFunc(s.spans(), func(p span) bool { return p.from <= n && n <= p.to })
}

// Add returns the set with one more number.
func (s Skips) Add(n int64) Skips {
	if s.Has(n) {
		return s
	}
	list := s.spans()
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
	return skipsOf(list)
}

// Union returns the numbers of both sets.
func (s Skips) Union(t Skips) Skips {
	if s == "" || t == "" {
		return s + t
	}
	list := append(s.spans(), t.spans()...)
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := list[:1]
	for _, p := range list[1:] {
		if last := &merged[len(merged)-1]; p.from <= last.to+1 {
			last.to = max(last.to, p.to)
		} else {
			merged = append(merged, p)
		}
	}
	return skipsOf(merged)
}

// Remove returns the set without a number.
func (s Skips) Remove(n int64) Skips {
	var list []span
	for _, p := range s.spans() {
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
	return skipsOf(list)
}

// Above returns the numbers of the set above after.
func (s Skips) Above(after int64) Skips {
	var list []span
	for _, p := range s.spans() {
		if p.to > after {
			list = append(list, span{max(p.from, after+1), p.to})
		}
	}
	return skipsOf(list)
}

// settle moves a count of what was read over the numbers of the set that follow it directly, and drops those up to there.
func (s Skips) settle(read int64) (int64, Skips) {
	if s == "" {
		return read, s
	}
	for _, p := range s.spans() {
		if p.from <= read+1 && p.to > read {
			read = p.to
		}
	}
	return read, s.Above(read)
}
