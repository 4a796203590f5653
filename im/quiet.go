package im

import "encoding/json"

// Quiet says when a person does not want to be disturbed.
type Quiet struct {
	Until int64 `json:"until,omitempty"` // milliseconds; 0 = not
	Daily bool  `json:"daily,omitempty"`
	From  int   `json:"from,omitempty"` // minutes of the day, in Zone
	To    int   `json:"to,omitempty"`
	Zone  int   `json:"zone,omitempty"` // minutes east of UTC
	Show  bool  `json:"show,omitempty"` // inviters are told
}

const minutesOfDay = 24 * 60

// Active says whether it is quiet now, in milliseconds. From equal to To is the whole day.
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

// QuietNow reads a setting as it is stored, and returns it when it is quiet now; nil when the person does not mind.
func QuietNow(stored string, now int64) *Quiet {
	var q Quiet
	if stored == "" || json.Unmarshal([]byte(stored), &q) != nil || !q.Active(now) {
		return nil
	}
	return &q
}
