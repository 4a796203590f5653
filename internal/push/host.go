package push

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// publicHost reports whether a host may be on the public internet: a name with a dot that is not a local domain, or a
// public address in any form that resolvers accept. The addresses of a name are checked when it is dialed.
func publicHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == "" && public(ip)
	}
	if strings.ContainsFunc(host, func(r rune) bool {
		return !(r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r &&
			r <= 'z')
	}) {
		return false // push services have plain names; resolvers may map other characters to digits
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.HasPrefix(last, "0x") ||
		strings.Trim(last, "0123456789") == "" {
		ip, ok := looseIPv4(labels)
		return ok && public(ip)
	}
	return len(labels) > 1 && !slices.Contains([]string{"localhost", "local", "internal", "lan", "home", "intranet",
		"corp", "localdomain"}, last) && !strings.HasSuffix(host, ".home.arpa")
}

// looseIPv4 parses the forms of inet_aton: 1 to 4 numbers, decimal, octal or hexadecimal. The last one fills the
// remaining bytes.
func looseIPv4(parts []string) (netip.Addr, bool) {
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var b [4]byte
	for i, p := range parts {
		base := 10
		switch {
		case strings.HasPrefix(p, "0x"):
			p, base = p[2:], 16
		case len(p) > 1 && p[0] == '0':
			base = 8
		}
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		n, err := strconv.ParseUint(p, base, bits)
		if err != nil {
			return netip.Addr{}, false
		}
		for at := i + bits/8 - 1; at >= i; at, n = at-1, n>>8 {
			b[at] = byte(n)
		}
	}
	return netip.AddrFrom4(b), true
}

// public reports whether an address is on the public internet.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() &&
		!slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(ip.WithZone("")) })
}

// special returns special-purpose blocks that look public: this network, shared address space, benchmarks, embedded and
// translated IPv4, Teredo, 6to4, site-local, reserved.
func special() []netip.Prefix {
	var list []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "::/96", "::ffff:0:0:0/96",
		"64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10",
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}
