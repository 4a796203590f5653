// The requests of calls on the screen: ring, accept, reject.
import type { Client } from '../client.js';
import { BeckonError, Code } from '../error.js';
import { newID } from '../id.js';
import { postAnswer, type AnswerMethod, type PushAnswer } from '../push-answer.js';
import type { Schemas } from '../schema.js';
import { persist } from './persist.js';
import { reasonOfError } from './reason.js';
import type { ScreenCall, ScreenEvent } from './screen.js';

/** Time for the answer of a call without a deadline, in milliseconds. */
const unlimited = 60_000;

/** AnswersOptions are the surroundings of Answers. */
export interface AnswersOptions {
  server: string;
  /** The attached client. */
  client: () => Client | undefined;
  /** The current state of a call. */
  call: (inviteID: string) => ScreenCall | undefined;
  dispatch: (event: ScreenEvent) => void;
  failed: (error: unknown) => void;
  /** Called after each request. */
  done: () => void;
}

/**
 * Answers sends the answers of calls until their deadlines: over a connected client, else with the token of the push.
 * All attempts of one answer have the same requestID, so that it takes effect once.
 */
export class Answers {
  #options: AnswersOptions;
  #pending = new Map<string, number>();

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** Reports whether requests about a call are pending. */
  pending(inviteID: string): boolean {
    return this.#pending.has(inviteID);
  }

  ring(call: ScreenCall): void {
    const { inviteID, uuid } = call;
    const { dispatch } = this.#options;
    const ringing = (): boolean => this.#options.call(inviteID)?.phase === 'ringing';
    this.#run(call, async () => {
      try {
        const { deadline, serverTime } = await this.#send(call, 'ring', {}, ringing);
        if (deadline) dispatch({ type: 'deadline', inviteID, deadline: performance.now() + deadline - serverTime });
      } catch (err) {
        const over = err instanceof BeckonError && err.code === Code.Over;
        if (over) dispatch({ type: 'over', inviteID, uuid, reason: reasonOfError(err), onScreen: false });
        else if (ringing()) this.#options.failed(err);
      }
    });
  }

  accept(call: ScreenCall): void {
    const { inviteID } = call;
    const { dispatch } = this.#options;
    this.#run(call, async () => {
      try {
        const { room } = await this.#send(call, 'accept', { requestID: newID() });
        dispatch({ type: 'answered', inviteID, ...(room ? { room } : {}) });
      } catch (error) {
        dispatch({ type: 'answerFailed', inviteID, reason: reasonOfError(error), error });
      }
    });
  }

  reject(call: ScreenCall): void {
    this.#run(call, async () => {
      try {
        await this.#send(call, 'reject', { requestID: newID(), reason: 'declined' });
      } catch (err) {
        if (!(err instanceof BeckonError && err.code === Code.Over)) this.#options.failed(err);
      }
    });
  }

  #run({ inviteID }: ScreenCall, work: () => Promise<void>): void {
    this.#pending.set(inviteID, (this.#pending.get(inviteID) ?? 0) + 1);
    void work().finally(() => {
      const left = (this.#pending.get(inviteID) ?? 1) - 1;
      if (left) this.#pending.set(inviteID, left);
      else this.#pending.delete(inviteID);
      this.#options.done();
    });
  }

  #send(
    call: ScreenCall,
    method: AnswerMethod,
    more: PushAnswer,
    wanted?: () => boolean,
  ): Promise<Schemas['ActionResponse']> {
    const request = { inviteID: call.inviteID, ...more };
    let tried = false; // a connection that shows no end may be dead
    const attempt = (signal: AbortSignal): Promise<Schemas['ActionResponse']> => {
      const token = this.#options.call(call.inviteID)?.answerToken || call.answerToken;
      const client = this.#options.client();
      const byToken = token && (tried || !client?.connected);
      tried = true;
      if (byToken || !client) return postAnswer(this.#options.server, token, method, request, signal);
      return orAborted(client.call(method, request, { signal }), signal);
    };
    return persist(attempt, call.deadline || performance.now() + unlimited, wanted);
  }
}

/** Rejects when a signal is aborted before a result: a call of a client waits for its connection. */
function orAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    result.then(resolve, reject);
    const late = { code: Code.Timeout, message: 'no response in time' };
    signal.addEventListener('abort', () => reject(new BeckonError(late)));
  });
}
