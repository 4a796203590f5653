// Registration of this device for pushes.
import type { Client } from '../client.js';
import type { Request } from '../schema.js';
import type { Messaging, VoipPush } from './boundary.js';

type Provider = Exclude<Request<'setPushToken'>['provider'], 'webPush' | 'unifiedPush'>;

/** TokenOptions are the libraries and settings for the registration. */
export interface TokenOptions {
  platform: string;
  voipPush?: VoipPush | undefined;
  messaging?: Messaging | undefined;
  /** iOS: the bundle ID of the app. Default: the one in the server's configuration. */
  app?: string | undefined;
  /** iOS: this is a development build, so that its tokens are for Apple's sandbox. Default: false. */
  sandbox?: boolean | undefined;
  /** The language of texts in pushes. Default: that of the user's profile. */
  language?: string | undefined;
}

/**
 * PushTokens registers the tokens of this device, once after each start and when one changes: on iOS apnsVoIP for
 * calls, and apns for the rest, or fcm if the server has no apns; on Android fcm. A registration that failed is
 * repeated with the next connect.
 */
export class PushTokens {
  #options: TokenOptions;
  #failed: (error: unknown) => void;
  #voip = ''; // PushKit reports its token by an event
  #registered = new Map<Provider, string>(); // the user and the token
  #work: Promise<void> = Promise.resolve(); // registrations and the removal run one after the other
  #client: Client | undefined;

  constructor(options: TokenOptions, failed: (error: unknown) => void) {
    this.#options = options;
    this.#failed = failed;
    const { messaging } = options;
    messaging?.onTokenRefresh(messaging.getMessaging(), () => this.#register());
  }

  /** Sets the token of PushKit. */
  setVoIP(token: string): void {
    this.#voip = token;
    this.#register();
  }

  /** Registers the tokens for the user of a client, now or when it connects. The returned function ends it. */
  attach(client: Client): () => void {
    this.#client = client;
    this.#register();
    const off = client.on('onConnected', () => this.#register());
    return () => {
      off();
      if (this.#client === client) this.#client = undefined;
    };
  }

  /** Deletes the tokens of this device on the server, before the user signs out. */
  async remove(client: Client): Promise<void> {
    this.#client = undefined;
    await this.#work;
    this.#registered.clear();
    await client.deletePushToken({});
  }

  #register(): void {
    const client = this.#client;
    if (!client?.connected) return;
    this.#work = this.#work.then(() => this.#registerNow(client)).catch(this.#failed);
  }

  async #registerNow(client: Client): Promise<void> {
    const { providers } = await client.getPushConfig({});
    const { platform, app, sandbox, language } = this.#options;
    const apple = platform === 'ios' ? { ...(app ? { app } : {}), ...(sandbox ? { sandbox } : {}) } : {};
    for (const [provider, read] of this.#sources(providers)) {
      try {
        const token = await read();
        const registration = `${client.userID} ${token}`;
        if (!token || this.#registered.get(provider) === registration || this.#client !== client) continue;
        const common = { provider, token, ...(language ? { language } : {}) };
        await client.setPushToken(provider === 'fcm' ? common : { ...common, ...apple });
        this.#registered.set(provider, registration);
      } catch (err) {
        this.#failed(err); // the others are registered
      }
    }
  }

  /** Returns the tokens to register, for the providers of the server. */
  #sources(providers: string[]): [Provider, () => string | Promise<string | null>][] {
    const { platform, messaging } = this.#options;
    const ios = platform === 'ios';
    const sources: [Provider, () => string | Promise<string | null>][] = [];
    if (ios && providers.includes('apnsVoIP')) sources.push(['apnsVoIP', () => this.#voip]);
    if (!messaging) return sources;
    if (ios && providers.includes('apns'))
      sources.push(['apns', () => messaging.getAPNSToken(messaging.getMessaging())]);
    else if (providers.includes('fcm')) sources.push(['fcm', () => messaging.getToken(messaging.getMessaging())]);
    return sources;
  }
}
