import { Room } from '../src/call.js';

/** A room in this process, shared by all instances with the same room ID. */
export class Silent extends Room {
  static rooms = new Map<string, Set<Silent>>();
  user = '';
  at = '';
  fails = false;

  override get roomID(): string {
    return this.at;
  }
  override get remoteUsers(): string[] {
    return [...(Silent.rooms.get(this.at) ?? [])].filter((r) => r !== this).map((r) => r.user);
  }

  override async enterRoom({ roomID }: { roomID: string }): Promise<never> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.fails) throw new Error('no media');
    const others = Silent.rooms.get(roomID) ?? new Set();
    Silent.rooms.set(roomID, others.add(this));
    this.at = roomID;
    this.emit('onEnterRoom', { roomID, ms: 0 });
    for (const r of others) {
      if (r === this) continue;
      this.emit('onRemoteUserEnterRoom', { userID: r.user });
      r.emit('onRemoteUserEnterRoom', { userID: this.user });
    }
    return undefined as never;
  }

  /** Leaves without notice, like a closed page. */
  vanish(): void {
    const others = Silent.rooms.get(this.at);
    others?.delete(this);
    this.at = '';
    for (const r of others ?? []) r.emit('onRemoteUserLeaveRoom', { userID: this.user });
  }

  override async exitRoom(): Promise<void> {
    const roomID = this.at;
    const others = [...(Silent.rooms.get(roomID) ?? [])].filter((r) => r !== this);
    this.vanish();
    this.emit('onExitRoom', { roomID, reason: 'hangup' });
    if (others.length === 1) {
      // as the server does in a call of two users
      const [last] = others;
      Silent.rooms.delete(roomID);
      last!.at = '';
      last!.emit('onExitRoom', { roomID, reason: 'dismissed' });
    }
  }

  override async startLocalAudio(): Promise<void> {}
  override async openCamera(): Promise<void> {}
  override async closeCamera(): Promise<void> {}
  override async sendCustomCmdMsg(): Promise<void> {}
}
