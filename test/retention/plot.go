package main

import (
	"fmt"
	"math"
	"strings"
)

const (
	panelWidth, panelHeight  = 300, 200
	left, right, top, bottom = 46, 20, 56, 34
	light, dark, faint       = "#64748b", "#2563eb", "#f97316"
)

// panel is a figure over simulated hours.
type panel struct {
	title string
	lines []line
}

// line is a series in a panel.
type line struct {
	name, colour string
	x, y         []float64
}

func trace(name, colour string, s *series, value func(*point) float64) line {
	l := line{name: name, colour: colour, x: []float64{0}, y: []float64{0}}
	for i := range s.Points {
		l.x = append(l.x, float64(s.Points[i].At)/3600)
		l.y = append(l.y, value(&s.Points[i]))
	}
	return l
}

// draw returns an SVG with a row of panels for each engine.
func draw(all []*series) string {
	var b strings.Builder
	rows := [][]panel{}
	for _, engine := range []string{"sqlite", "postgres"} {
		if row := panels(engine, all); row[0].lines != nil {
			rows = append(rows, row)
		}
	}
	const high = top + panelHeight + bottom
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+
		`<rect width="100%%" height="100%%" fill="#fff"/>`, 3*panelWidth, len(rows)*high)
	for r, row := range rows {
		for i, p := range row {
			fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`, i*panelWidth, r*high)
			p.draw(&b)
			b.WriteString("</g>")
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// panels returns the panels of an engine.
func panels(engine string, all []*series) []panel {
	title, log := "SQLite", "beckon.db-wal"
	if engine == "postgres" {
		title, log = "PostgreSQL", "pg_wal"
	}
	size, rows, logs := panel{title: title + ": GB of the database"}, panel{title: title + ": million records"},
		panel{title: title + ": MB of the log"}
	for _, s := range all {
		if s.Engine != engine {
			continue
		}
		name, colour := fmt.Sprintf("%d flows/s, kept for %.3g h", s.Rate, s.Age.Hours()), dark
		if s.Age == 0 {
			name, colour = fmt.Sprintf("%d flows/s, kept for ever", s.Rate), faint
		}
		size.lines = append(size.lines, trace(name, colour, s, func(p *point) float64 { return float64(p.Database) / 1e9 }))
		rows.lines = append(rows.lines, trace(name, colour, s, func(p *point) float64 { return float64(p.Records) / 1e6 }))
		if s.Age == 0 {
			continue
		}
		logs.lines = append(logs.lines, trace(log, dark, s, func(p *point) float64 { return float64(p.Log) / 1e6 }))
		if engine == "sqlite" {
			logs.title += " and journal"
			logs.lines = append(logs.lines,
				trace("journal", faint, s, func(p *point) float64 { return float64(p.Journal) / 1e6 }))
		}
	}
	return []panel{size, rows, logs}
}

// scale returns a step of an axis, and its end.
func scale(most float64) (step, end float64) {
	step = math.Pow(10, math.Floor(math.Log10(most)))
	for most/step < 4 {
		step /= 2
	}
	return step, step * math.Ceil(most/step)
}

func (p *panel) draw(b *strings.Builder) {
	most, wide := 1e-9, 1e-9
	for _, l := range p.lines {
		for i := range l.x {
			most, wide = max(most, l.y[i]), max(wide, l.x[i])
		}
	}
	step, most := scale(most)
	x := func(v float64) float64 { return left + (panelWidth-left-right)*v/wide }
	y := func(v float64) float64 { return top + panelHeight*(1-v/most) }
	fmt.Fprintf(b, `<text x="%d" y="16" font-weight="bold">%s</text>`, left, p.title)
	for v := 0.0; v <= most*1.001; v += step {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e2e8f0"/>`, left, panelWidth-right, y(v), y(v))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" fill="%s">%.4g</text>`, left-6, y(v)+4, light, v)
	}
	hours, _ := scale(wide)
	for v := 0.0; v <= wide*1.001; v += hours {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="%s">%.3g h</text>`, x(v), top+panelHeight+16,
			light, v)
	}
	for i, l := range p.lines {
		var points []string
		for j := range l.x {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(l.x[j]), y(l.y[j])))
		}
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`, left, 31+14*i, l.colour, l.name)
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(points, " "),
			l.colour)
	}
}
