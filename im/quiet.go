package im

import "encoding/json"

// Quiet is a user's do-not-disturb setting.
type Quiet struct {
	Until int64 `json:"until,omitempty"` // Unix milliseconds; 0 = not set
	Daily bool  `json:"daily,omitempty"`
	From  int   `json:"from,omitempty"` // minutes of the day, in Zone
	To    int   `json:"to,omitempty"`
	Zone  int   `json:"zone,omitempty"` // minutes east of UTC
	Show  bool  `json:"show,omitempty"` // shown to inviters
}

const minutesOfDay = 24 * 60

// Active reports whether do-not-disturb is in effect at now, in Unix milliseconds. From equal to To means the whole
// day.
func (q Quiet) Active(now int64) bool {
	if q.Until > now {
		return true
	}
	if !q.Daily {
		return false
	}
	at := int((now/60_000 + int64(q.Zone)) % minutesOfDay)
	if q.From < q.To {
		return q.From <= at && at < q.To
	}
	return at >= q.From || at < q.To
}

// QuietNow parses a stored setting and returns it if it is in effect at now, else nil.
func QuietNow(stored string, now int64) *Quiet {
	var q Quiet
	if stored == "" || json.Unmarshal([]byte(stored), &q) != nil || !q.Active(now) {
		return nil
	}
	return &q
}
