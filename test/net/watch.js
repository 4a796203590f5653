// The display of pages in a call, recorded in the page itself, because a stopped or busy page does not answer.

/**
 * An init script: window.beckonEvents has the display of the page, with times in Unix milliseconds that do not depend on
 * Date; window.beckonSound the samples of sound that were played and concealed; window.beckonDevicesOn() the number of
 * open cameras and microphones.
 */
export function watch() {
  const now = () => performance.timeOrigin + performance.now();
  const events = (window.beckonEvents = []);
  const sound = (window.beckonSound = []);
  const last = {};
  const note = (what, value, at = now()) => {
    if (value === undefined || last[what] === value) return;
    last[what] = value;
    events.push({ at, what, value });
  };

  const tracks = [];
  const { mediaDevices } = navigator;
  const open = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (constraints) => {
    const stream = await open(constraints);
    tracks.push(...stream.getTracks());
    return stream;
  };
  window.beckonDevicesOn = () => tracks.filter((t) => t.readyState === 'live').length;

  const frames = {}; // time of the last frame of each user
  const follow = (video, name) => {
    if (video.beckonFollowed) return;
    video.beckonFollowed = true;
    const frame = () => {
      frames[name] = now();
      note(`picture ${name}`, 'moving');
      if (video.isConnected) video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
  };

  const shown = new Set();
  const look = () => {
    const call = document.querySelector('section[aria-label="Call"]');
    const dialog = document.querySelector('[role="dialog"], dialog[open]');
    note('dialog', dialog?.textContent.match(/(Video|Voice) call/)?.[0] ?? '');
    note('toast', document.querySelector('.toast:last-child')?.textContent ?? '');
    note('phase', call?.dataset.phase ?? 'idle');
    note('banner', call?.querySelector('.banner.lost') ? 'shown' : '');
    const status = call?.querySelector('[role="timer"]')?.textContent ?? '';
    if (/^\d/.test(status)) window.beckonTimer = { at: now(), text: status };
    note('status', /^\d/.test(status) ? 'talking' : status);
    const seen = new Set();
    for (const tile of call?.querySelectorAll('.tile') ?? []) {
      const [name, ...state] = tile.querySelector('.label').textContent.split(' · ');
      const own = tile.classList.contains('own');
      const key = own ? 'own' : `peer ${name}`;
      seen.add(key);
      note(key, state.join(', ') || 'good');
      const video = own ? null : tile.querySelector('video[data-source="camera"]');
      if (video) follow(video, name);
    }
    for (const key of shown) if (!seen.has(key)) note(key, call ? 'gone' : '');
    for (const key of seen) shown.add(key);
  };
  new MutationObserver(look).observe(document, {
    childList: true,
    subtree: true,
    attributes: true,
    characterData: true,
  });

  const peers = [];
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(...args) {
      super(...args);
      peers.push(this);
    }
  };
  /** Reads the way of media, and the sound, of all connections. */
  const measure = async () => {
    const paths = new Set();
    let [played, concealed] = [0, 0];
    for (const pc of peers.filter((p) => p.connectionState !== 'closed')) {
      const report = await pc.getStats();
      for (const s of report.values()) {
        if (s.type === 'transport' && pc.connectionState === 'connected') {
          const local = report.get(report.get(s.selectedCandidatePairId)?.localCandidateId);
          if (local) paths.add(local.candidateType === 'relay' ? `relay ${local.relayProtocol}` : local.protocol);
        }
        if (s.type !== 'inbound-rtp' || s.kind !== 'audio') continue;
        played += s.totalSamplesReceived ?? 0;
        concealed += s.concealedSamples ?? 0;
      }
    }
    if (paths.size) note('path', [...paths].sort().join('+'));
    if (played) sound.push({ at: now(), played, concealed });
  };
  setInterval(() => {
    for (const [name, at] of Object.entries(frames))
      if (now() - at > 1000 && last.phase !== 'idle') note(`picture ${name}`, 'still', at);
  }, 200);
  setInterval(() => void measure(), 500);
}

/** An init script: sets the clock of pages forward, or back. */
export function shiftClock(milliseconds) {
  const Real = Date;
  window.Date = class extends Real {
    constructor(...args) {
      if (args.length) super(...args);
      else super(Real.now() + milliseconds);
    }
    static now() {
      return Real.now() + milliseconds;
    }
  };
}
