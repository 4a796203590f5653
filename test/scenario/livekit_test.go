package scenario

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
)

// fakeLive is LiveKit as its own interface shows it: it keeps rooms and notes what it is asked. The scenes in a browser
// (test/e2e) use the real one.
type fakeLive struct {
	livekit.RoomService
	mu    sync.Mutex
	rooms map[string]map[string]*livekit.ParticipantInfo // who is in, by room and identity
	// what ListRooms says: LiveKit counts every 5 s, the stand-in never
	counts map[string]uint32
	said   []string
	down   atomic.Bool
	now    func() int64 // LiveKit's clock
}

func (f *fakeLive) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, s)
}

func (f *fakeLive) heard(s string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.said, s)
}

// put says who is in a room.
func (f *fakeLive) put(room string, people ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rooms[room] = map[string]*livekit.ParticipantInfo{}
	for _, u := range people {
		f.rooms[room][u] = &livekit.ParticipantInfo{Identity: u, Sid: "sid of " + u, State: livekit.ParticipantInfo_ACTIVE,
			Permission: &livekit.ParticipantPermission{CanPublish: true}}
	}
	f.counts[room] = uint32(len(people))
}

// enter lets somebody into a room without an event about it.
func (f *fakeLive) enter(room string, p *livekit.ParticipantInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rooms[room] == nil {
		f.rooms[room] = map[string]*livekit.ParticipantInfo{}
	}
	f.rooms[room][p.Identity] = p
}

// leave takes somebody out; sid "" is whoever it is.
func (f *fakeLive) leave(room, who, sid string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.rooms[room][who]; p != nil && (sid == "" || p.Sid == sid) {
		delete(f.rooms[room], who)
	}
}

func (f *fakeLive) CreateRoom(_ context.Context, r *livekit.CreateRoomRequest) (*livekit.Room, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rooms[r.Name] == nil {
		f.rooms[r.Name] = map[string]*livekit.ParticipantInfo{}
	}
	return &livekit.Room{Name: r.Name, CreationTimeMs: f.now()}, nil
}

func (f *fakeLive) ListRooms(context.Context, *livekit.ListRoomsRequest) (*livekit.ListRoomsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	res := &livekit.ListRoomsResponse{}
	for name := range f.rooms {
		res.Rooms = append(res.Rooms, &livekit.Room{Name: name, NumParticipants: f.counts[name]})
	}
	return res, nil
}

func (f *fakeLive) ListParticipants(_ context.Context,
	r *livekit.ListParticipantsRequest) (*livekit.ListParticipantsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	res := &livekit.ListParticipantsResponse{}
	for _, p := range f.rooms[r.Room] {
		res.Participants = append(res.Participants, p)
	}
	return res, nil
}

func (f *fakeLive) DeleteRoom(_ context.Context, r *livekit.DeleteRoomRequest) (*livekit.DeleteRoomResponse, error) {
	f.note("close " + r.Room)
	f.mu.Lock()
	delete(f.rooms, r.Room)
	delete(f.counts, r.Room)
	f.mu.Unlock()
	return &livekit.DeleteRoomResponse{}, nil
}

func (f *fakeLive) GetParticipant(_ context.Context, r *livekit.RoomParticipantIdentity) (*livekit.ParticipantInfo,
	error) {
	f.note("look at " + r.Identity)
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.rooms[r.Room][r.Identity]; p != nil {
		return p, nil
	}
	return nil, twirp.NotFoundError("no such participant")
}

func (f *fakeLive) RemoveParticipant(_ context.Context,
	r *livekit.RoomParticipantIdentity) (*livekit.RemoveParticipantResponse, error) {
	f.note("remove " + r.Identity)
	f.leave(r.Room, r.Identity, "")
	return &livekit.RemoveParticipantResponse{}, nil
}

func (f *fakeLive) UpdateParticipant(_ context.Context, r *livekit.UpdateParticipantRequest) (*livekit.ParticipantInfo,
	error) {
	if r.Permission.CanPublish {
		f.note("speak " + r.Identity)
	} else {
		f.note("listen " + r.Identity)
	}
	return &livekit.ParticipantInfo{}, nil
}
