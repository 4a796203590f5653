// The permanent room of a group: its host, its speakers, and the microphone of this device.
import { useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';
import { BeckonError, Code } from 'beckon';
import { Room } from 'beckon/room';
import { useEvent, useSession } from '../use.js';

/**
 * Grace period before the host revokes the microphone of a speaker with a lost connection, in milliseconds. A page
 * reload takes less.
 */
const gracePeriod = 15_000;

export type Entry = 'entering' | 'in' | 'lost' | 'removed' | 'failed';

export interface GroupRoom {
  room: Room;
  roomID: string;
  entry: Entry;
  problem: string;
  host: boolean;
  owner: string;
  speakers: string[];
  /** Enters again after a failure. */
  retry: () => void;
  /** Reloads the speakers. */
  reload: () => Promise<void>;
  /** Opens the microphone of this device after it was granted. */
  speak: () => Promise<void>;
  /** Closes the microphone and returns the grant. */
  releaseMicrophone: () => Promise<void>;
}

/** Reports whether a user is in the room. It waits up to 3 s for a user that is entering. */
export async function isPresent(room: Room, userID: string): Promise<boolean> {
  if (room.remoteUsers.includes(userID)) return true;
  return room
    .once('onRemoteUserEnterRoom', (e) => e.userID === userID, AbortSignal.timeout(3000))
    .then(
      () => true,
      () => false,
    );
}

/** Enters the room of a group. open: users join the group by entering; else only members enter. */
export function useGroupRoom(groupID: string, camera: boolean, open = false): GroupRoom {
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
  const seat = !host && speakers.includes(s.me); // has a granted microphone, which is returned on leave

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
    async (device: 'camera' | 'microphone', run: () => Promise<void>) => {
      try {
        await run();
      } catch (err) {
        if (!gone.current) s.fail(err, 'failed.deviceInRoom', { device });
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
          // an open room: join the group first
          if (!(err instanceof BeckonError && err.code === Code.NotAdmitted) || !open) throw err;
          await s.client.joinGroup({ groupID }).catch((e: unknown) => {
            throw e instanceof BeckonError && e.code === 10013 ? err : e;
          }); // 10013: already a member, so removed by the host
          await s.refresh();
          await reload();
        });
        const entered = await room.enterRoom({ roomID });
        if (over) return void room.exitRoom();
        setEntry('in');
        if (entered.role === 'anchor') {
          await start('microphone', () => room.startLocalAudio());
          if (camera && entered.host) await start('camera', () => room.openCamera());
        }
      } catch (err) {
        if (over) return;
        setEntry(err instanceof BeckonError && err.code === Code.NotAdmitted ? 'removed' : 'failed');
        setProblem(s.reason(err));
      }
    };
    void enter();
    const off = room.on('onExitRoom', ({ reason: why }) => {
      if (over || why === 'hangup') return;
      if (why !== 'mediaLost' && why !== 'dismissed') {
        setSpeakers([]);
        setProblem(s.text(why === 'removed' ? 'room.sentOut' : 'room.elsewhere'));
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
  const releaseMicrophone = useCallback(async () => {
    await room.stopLocalAudio();
    await s.client.setRoomRole({ roomID, userID: s.me, role: 'audience' });
    await reload();
  }, [room, s, roomID, reload]);

  const giveUpOnPageHide = useEffectEvent(() => {
    if (seat) s.client.callOnLeave('setRoomRole', { roomID, userID: s.me, role: 'audience' });
  });
  const giveUpOnLeave = useEffectEvent(() => {
    if (seat) s.client.setRoomRole({ roomID, userID: s.me, role: 'audience' }).catch(() => undefined); // refused if removed
  });
  useEffect(() => {
    const hide = (): void => giveUpOnPageHide();
    addEventListener('pagehide', hide);
    return () => {
      removeEventListener('pagehide', hide);
      giveUpOnLeave();
    };
  }, [s, roomID]);

  // The host revokes the microphones of speakers that do not return within the grace period.
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
            takeBack().catch(() => undefined); // refused for administrators
          }, gracePeriod),
        ),
      ),
      room.on('onRemoteUserEnterRoom', ({ userID }) => clearTimeout(timers.get(userID))),
    ];
    return () => {
      for (const off of offs) off();
      for (const t of timers.values()) clearTimeout(t);
    };
  }, [s, room, roomID, host, reload]);

  // A call is private: during a call this device sends no audio or video to the room.
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
    if (e.role === 'anchor') void speak().catch((err: unknown) => s.fail(err, 'failed.microphone'));
    if (e.role === 'audience' && e.by !== s.me) {
      void room.stopLocalAudio().catch(() => undefined);
      s.toast(s.text('room.microphoneTaken'));
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
    releaseMicrophone,
  };
}
