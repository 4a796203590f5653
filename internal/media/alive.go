package media

import (
	"context"
	"time"

	"github.com/beckon-im/beckon/im"
	"github.com/beckon-im/beckon/internal/rpc"
	"github.com/beckon-im/beckon/internal/txn"
)

// aliveEvery is the interval at which the time is noted while participants are connected: after a crash of this
// server with its LiveKit, the stays of the participants end at the last note.
const aliveEvery = time.Second

// aliveKey is the key of the note among the signaling connections. No roomID has a space.
func aliveKey() txn.SeatKey { return txn.SeatKey{RoomID: "last alive"} }

func aliveReads() txn.ReadSet {
	return txn.ReadSet{Topics: []string{im.RoomTopic(aliveKey().RoomID)}, Links: []txn.SeatKey{aliveKey()}}
}

// noteAlive notes the time, if participants are connected through this server.
func (m *Media) noteAlive(ctx context.Context) {
	if m.connected.Load() == 0 || !m.noting.CompareAndSwap(false, true) {
		return
	}
	started := m.tasks.TryGo(func() error {
		defer m.noting.Store(false)
		err := rpc.Write(ctx, m.store, aliveReads(), func(tx *txn.Tx) error {
			tx.PutLink(txn.Link{RoomID: aliveKey().RoomID, At: tx.Now})
			return nil
		})
		if err != nil && ctx.Err() == nil {
			m.log.Warn("noting the time of calls failed", "error", err, "retry_in", aliveEvery)
		}
		return nil
	})
	if !started {
		m.noting.Store(false)
	}
}

// readAlive reads the last note, which the first comparison of calls uses.
func (m *Media) readAlive(ctx context.Context) {
	at, err := rpc.Run(ctx, m.store, rpc.Txn[int64]{Reads: aliveReads(), Decide: func(tx *txn.Tx) (int64, error) {
		if l := tx.Link(aliveKey().RoomID, ""); l != nil {
			return l.At, nil
		}
		return 0, nil
	}})
	if err != nil && ctx.Err() == nil {
		m.log.Warn("reading the time of calls failed", "error", err)
	}
	m.aliveAt.Store(at)
}
