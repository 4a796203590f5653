// The standing room of a group, as its people see it: who may speak, who decides, and this device's part in it.
import { useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';
import { BeckonError, Code } from 'beckon';
import { Room } from 'beckon/room';
import { reason } from './session.js';
import { useEvent, useSession } from './use.js';

/** How long a microphone waits for whoever went without a word, in milliseconds: a page that is loaded again is back before. */
const absence = 15_000;

export type Entry = 'entering' | 'in' | 'lost' | 'removed' | 'failed';

export interface Standing {
  room: Room;
  roomID: string;
  entry: Entry;
  problem: string;
  host: boolean;
  owner: string;
  speakers: string[];
  /** Enters again after a failure. */
  retry: () => void;
  /** Reads anew who may speak. */
  reload: () => Promise<void>;
  /** Opens this device's microphone once it was granted. */
  speak: () => Promise<void>;
  /** Lets the microphone go for good. */
  giveUp: () => Promise<void>;
}

/** Whether a user is in the room; somebody who is just coming in gets a moment. */
export async function isIn(room: Room, userID: string): Promise<boolean> {
  if (room.remoteUsers.includes(userID)) return true;
  return room
    .once('onRemoteUserEnterRoom', (e) => e.userID === userID, AbortSignal.timeout(3000))
    .then(
      () => true,
      () => false,
    );
}

/** open: whoever comes joins the group; else the group lets people in. */
export function useStanding(groupID: string, camera: boolean, open = false): Standing {
  const s = useSession();
  const [room] = useState(() => new Room(s.client));
  const roomID = `group_${groupID}`;
  const [entry, setEntry] = useState<Entry>('entering');
  const [problem, setProblem] = useState('');
  const [host, setHost] = useState(false);
  const [owner, setOwner] = useState('');
  const [speakers, setSpeakers] = useState<string[]>([]);
  const [tries, setTries] = useState(0);
  const gone = useRef(false);
  const seat = !host && speakers.includes(s.me); // this device speaks by a grant, which it gives up when it leaves

  const reload = useCallback(async () => {
    const view = await s.client.getRoom({ roomID });
    setHost(view.host ?? false);
    setOwner(view.owner ?? '');
    setSpeakers(
      [
        view.owner ?? '',
        ...view.seats.filter((x) => x.role === 'anchor' && x.userID !== view.owner).map((x) => x.userID),
      ].filter(Boolean),
    );
  }, [s, roomID]);

  const start = useCallback(
    async (what: string, run: () => Promise<void>) => {
      try {
        await run();
      } catch (err) {
        if (!gone.current) s.fail(err, `You are in, but your ${what} does not work`);
      }
    },
    [s],
  );

  useEffect(() => {
    gone.current = false;
    let over = false;
    setEntry('entering');
    const enter = async (): Promise<void> => {
      try {
        await reload().catch(async (err: unknown) => {
          // a chat room is open: who comes joins
          if (!(err instanceof BeckonError && err.code === Code.NotAdmitted) || !open) throw err;
          await s.client.joinGroup({ groupID }).catch((e: unknown) => {
            throw e instanceof BeckonError && e.code === 10013 ? err : e;
          }); // a member is sent out
          await s.refresh();
          await reload();
        });
        const way = await room.enterRoom({ roomID });
        if (over) return void room.exitRoom();
        setEntry('in');
        if (way.role === 'anchor') {
          await start('microphone', () => room.startLocalAudio());
          if (camera && way.host) await start('camera', () => room.openCamera());
        }
      } catch (err) {
        if (over) return;
        setEntry(err instanceof BeckonError && err.code === Code.NotAdmitted ? 'removed' : 'failed');
        setProblem(reason(err));
      }
    };
    void enter();
    const off = room.on('onExitRoom', ({ reason: why }) => {
      if (over || why === 'hangup') return;
      if (why !== 'mediaLost' && why !== 'dismissed') {
        setSpeakers([]);
        setProblem(why === 'removed' ? 'The host sent you out.' : 'You entered from elsewhere.');
        return setEntry('removed');
      }
      setEntry('lost');
      setTimeout(() => {
        if (!over) setTries((n) => n + 1);
      }, 2000);
    });
    return () => {
      over = gone.current = true;
      off();
      void room.exitRoom();
    };
  }, [s, room, groupID, roomID, reload, start, camera, open, tries]);

  const speak = useCallback(async () => {
    await room.switchRole('anchor');
    await start('microphone', () => room.startLocalAudio());
  }, [room, start]);
  const giveUp = useCallback(async () => {
    await room.stopLocalAudio();
    await s.client.setRoomRole({ roomID, userID: s.me, role: 'audience' });
    await reload();
  }, [room, s, roomID, reload]);

  const giveUpOnPageHide = useEffectEvent(() => {
    if (seat) s.client.callOnLeave('setRoomRole', { roomID, userID: s.me, role: 'audience' });
  });
  const giveUpOnLeave = useEffectEvent(() => {
    if (seat) s.client.setRoomRole({ roomID, userID: s.me, role: 'audience' }).catch(() => undefined); // removed meanwhile
  });
  useEffect(() => {
    const hide = (): void => giveUpOnPageHide();
    addEventListener('pagehide', hide);
    return () => {
      removeEventListener('pagehide', hide);
      giveUpOnLeave();
    };
  }, [s, roomID]);

  // A host takes back the microphone of whoever went without a word and did not come back.
  useEffect(() => {
    if (!host) return;
    const timers = new Map<string, ReturnType<typeof setTimeout>>();
    const offs = [
      room.on('onRemoteUserLeaveRoom', ({ userID }) =>
        timers.set(
          userID,
          setTimeout(() => {
            if (room.remoteUsers.includes(userID) || !room.roomID) return;
            const takeBack = async (): Promise<void> => {
              const { owner: first, seats } = await s.client.getRoom({ roomID });
              if (first === userID || !seats.some((x) => x.userID === userID && x.role === 'anchor')) return;
              await s.client.setRoomRole({ roomID, userID, role: 'audience' });
              await reload();
            };
            takeBack().catch(() => undefined); // an administrator keeps it
          }, absence),
        ),
      ),
      room.on('onRemoteUserEnterRoom', ({ userID }) => clearTimeout(timers.get(userID))),
    ];
    return () => {
      for (const off of offs) off();
      for (const t of timers.values()) clearTimeout(t);
    };
  }, [s, room, roomID, host, reload]);

  // A call is private: while one goes on, this room hears and sees nothing of this device.
  const held = useRef({ microphone: false, camera: false });
  useEffect(
    () =>
      s.calls.on('onCallState', ({ phase }) => {
        const talking = phase !== 'idle' && phase !== 'ringing';
        if (!room.roomID) return;
        if (talking && (room.microphone || room.camera)) {
          held.current = { microphone: room.microphone, camera: room.camera };
          if (room.microphone) void room.muteLocalAudio(true).catch(() => undefined);
          if (room.camera) void room.closeCamera().catch(() => undefined);
        } else if (!talking && phase === 'idle') {
          const { microphone, camera: shown } = held.current;
          held.current = { microphone: false, camera: false };
          if (microphone) void room.muteLocalAudio(false).catch(() => undefined);
          if (shown) void room.openCamera().catch(() => undefined);
        }
      }),
    [s, room],
  );

  useEvent('onRoomRoleChanged', (e) => {
    if (e.roomID !== roomID) return;
    void reload().catch(() => undefined);
    if (e.userID !== s.me) return;
    if (e.role === 'anchor') void speak().catch((err: unknown) => s.fail(err, 'Your microphone could not be opened'));
    if (e.role === 'audience' && e.by !== s.me) {
      void room.stopLocalAudio().catch(() => undefined);
      s.toast('The host took the microphone back');
    }
  });
  return {
    room,
    roomID,
    entry,
    problem,
    host,
    owner,
    speakers,
    retry: () => setTries((n) => n + 1),
    reload,
    speak,
    giveUp,
  };
}
