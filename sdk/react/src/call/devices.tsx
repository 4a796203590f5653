// The dialog that picks the camera, the microphone and the speaker of a call.
import { useEffect, useState, type ReactNode } from 'react';
import type { Room } from 'beckon/room';
import type { TextKey } from '../text/text.js';
import { Dialog } from '../ui/dialog.js';
import { useSession, useText } from '../use.js';

const kinds = { videoinput: 'device.camera', audioinput: 'device.microphone', audiooutput: 'device.speaker' } as const;

type Kind = keyof typeof kinds;

/** The properties of a DevicePicker. */
export interface DevicePickerProps {
  room: Room;
  onClose: () => void;
}

export function DevicePicker({ room, onClose }: DevicePickerProps): ReactNode {
  const s = useSession();
  const t = useText();
  const [list, set] = useState<MediaDeviceInfo[]>([]);
  const [chosen, setChosen] = useState<Partial<Record<Kind, string>>>({});
  useEffect(() => {
    const devices = navigator.mediaDevices;
    const read = (): void => {
      devices?.enumerateDevices().then(set, () => set([]));
    };
    read();
    devices?.addEventListener('devicechange', read);
    return () => devices?.removeEventListener('devicechange', read);
  }, []);
  const pick = (kind: Kind, id: string): void => {
    const failure: TextKey = kind === 'videoinput' ? 'failed.camera' : 'failed.microphone';
    room.livekit?.switchActiveDevice(kind, id).then(
      () => setChosen((c) => ({ ...c, [kind]: id })),
      (err: unknown) => s.fail(err, failure),
    );
  };
  return (
    <Dialog title={t('devices.pick')} ofCall onClose={onClose}>
      {(Object.keys(kinds) as Kind[]).map((kind) => {
        const devices = list.filter((d) => d.kind === kind && d.deviceId);
        return (
          <label key={kind} className="device">
            {t(kinds[kind])}
            <select
              value={chosen[kind] ?? room.livekit?.getActiveDevice(kind) ?? ''}
              disabled={devices.length === 0}
              onChange={(e) => pick(kind, e.target.value)}
            >
              {devices.length === 0 && <option value="">{t('devices.none')}</option>}
              {devices.map((d, i) => (
                <option key={d.deviceId} value={d.deviceId}>
                  {d.label || `${t(kinds[kind])} ${i + 1}`}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </Dialog>
  );
}
