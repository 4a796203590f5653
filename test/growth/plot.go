package main

import (
	"fmt"
	"math"
	"strings"
)

const (
	panelWidth, panelHeight = 300, 220
	left, top, below        = 46, 34, 40
	light, dark             = "#64748b", "#2563eb"
)

// draw returns an SVG with a panel for each series: microseconds over a logarithmic scale.
func draw(all []*series) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11"><rect width="100%%" height="100%%" fill="#fff"/>`,
		len(all)*panelWidth, panelHeight+top+below)
	for i, s := range all {
		fmt.Fprintf(&b, `<g transform="translate(%d,0)">`, i*panelWidth)
		panel(&b, s)
		b.WriteString("</g>")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func panel(b *strings.Builder, s *series) {
	most, wide := 1.0, 1.0
	for _, p := range s.points {
		most, wide = max(most, p.cpu), max(wide, place(p.n))
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 3 {
		step /= 2
	}
	most = step * math.Ceil(most/step)
	x := func(n int) float64 { return left + (panelWidth-left-20)*place(n)/wide }
	y := func(v float64) float64 { return top + panelHeight*(1-v/most) }
	fmt.Fprintf(b, `<text x="%d" y="18" font-weight="bold">%s: µs for %s</text>`, left, s.name, s.of)
	for v := 0.0; v <= most; v += step {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e2e8f0"/>`, left, panelWidth-20, y(v), y(v))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" fill="%s">%.0f</text>`, left-6, y(v)+4, light, v)
	}
	var line []string
	for _, p := range s.points {
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(p.n), y(p.cpu)))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, x(p.n), y(p.cpu), dark)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="%s">%d</text>`, x(p.n), top+panelHeight+16,
			light, p.n)
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(line, " "), dark)
}

// place returns the position on a logarithmic scale; 0 is placed like 1.
func place(n int) float64 { return math.Log10(max(float64(n), 1)) }
